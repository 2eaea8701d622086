// Package aac lays AAC beside other sound, on the same timeline: how many of its
// frames make up each segment, what an encoder has to be given for a run of them, and
// the CMAF of what came out. It decides, and waits for nothing; a Plan never changes.
package aac
