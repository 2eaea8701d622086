// Package demand decides which simulcast layers of a publisher may rest, because nobody wants them.
//
// It promises that a layer rests only after it has been unwanted for a while, that the lowest layer that flows never
// does, and that a wanted one is woken at once. A Book belongs to the goroutine that owns its publisher.
package demand
