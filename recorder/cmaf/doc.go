// Package cmaf writes and reads the bytes of CMAF tracks (ISO/IEC 23000-19):
// initialisation sections, and chunks, which are the parts of low latency HLS.
//
// It promises that chunks put one behind the other are a segment, and that writing
// one allocates nothing. Owner: whoever calls; the functions have no state.
package cmaf
