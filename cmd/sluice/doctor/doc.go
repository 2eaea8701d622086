// Package doctor looks at a machine before, or while, Sluice runs on it, and
// says in words what to change.
//
// It promises that it changes nothing itself, and that each problem comes with
// the line to type. What it judges are plain values, gathered in gather.go; the
// judgements can be tried without the machine they are about.
package doctor
