// Package matrix is the loss matrix: what one viewer sees on a bad link, for
// each named profile, by Chromium and by a viewer on Pion, each beside a
// control on a clean link in the same run.
//
// It promises one analysis for both kinds of viewers, from raw pictures and
// from what the relay counted. Run owns everything that it starts.
package matrix
