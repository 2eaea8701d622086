// Package edge is a small caching HTTP server in front of origins of live and
// recorded streams: for tests, and for sites without a CDN. It promises one
// question at the origin for all who wait for the same answer, and that nobody
// gets what a token is needed for without one. Edge owns its cache and fetches.
package edge
