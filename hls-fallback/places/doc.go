// Package places divides a bounded number of places among addresses. It promises that
// while half of them are free everybody gets one, and that afterwards nobody gets one
// who holds more than his share: one client cannot keep all others out. It is a
// kernel; who owns a Places locks it.
package places
