// Package config is what a node was told to be: defaults, then one YAML file,
// then the environment, then flags, each laid over the one before.
//
// It promises that a value which made it through Load is usable, and that a
// misspelt key is an error that names the nearest known one. It opens nothing
// but the file it is given; the command that called Load owns the result.
package config
