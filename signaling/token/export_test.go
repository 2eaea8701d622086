package token

// Public is public, to hold its table of addresses in a test.
var Public = public
