// Package cache decides for a caching edge: under which key a request is kept,
// how long an answer may be given to others, what makes room for what, and which
// origin is asked first. It promises that neither a token nor a parameter that
// nobody knows changes a key. Not safe for concurrent use; the edge owns it.
package cache
