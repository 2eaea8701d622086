// Sluice is a streaming server: WebRTC in (WHIP), WebRTC out (WHEP).
//
// This package is the roof of the house. It reads the configuration, makes the
// rooms, introduces them to each other, runs them and stops them; it decides
// nothing about media. Nobody imports it.
package main
