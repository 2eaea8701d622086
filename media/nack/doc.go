// Package nack asks publishers for lost packets (Generator) and decides which
// packets viewers get again (Answerer); RFC 4585 section 6.2.1.
//
// It promises to ask at most so often, never for what has come, and to resend
// within a budget whatever a viewer asks. Owner: the ingest of one RTP stream
// has the Generator, the shard of one viewer the Answerer; neither is safe for
// concurrent use.
package nack
