// Package clearkey gives content keys out of one secret, and answers the licence requests of Clear Key, which every
// browser has (W3C Encrypted Media Extensions, section 9.1). It promises the same keys wherever the secret is the same,
// and that a licence holds no key that was not asked for. Who may have one is not decided here. Keys may be shared.
package clearkey
