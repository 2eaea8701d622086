// Package relay puts a bad network between one client and a real server: a
// relay that acts as a NAT for the media of a session, and a proxy that slips
// it into WHIP and WHEP answers, so that a browser never knows.
//
// It promises timing to about a millisecond without burning a processor, and
// counts of everything it did. Relay.Run owns sockets and goroutines.
package relay
