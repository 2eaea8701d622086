// Package link is one light client's way to a WHIP or WHEP server: the HTTP
// resource, the answer's facts, ICE checks, the DTLS handshake and SRTP keys.
//
// It promises speed of joining (the first check leaves at once and nominates)
// and few parts: no candidate gathering, no agent, no media engine.
// A Peer is owned by whoever dialled it; the other types are values.
package link
