// Package s3test holds the blob store, and uploads through it, against a real S3
// gateway. It is a module of its own, as the gateway brings more dependencies than
// the server has; `make integration` runs it.
package s3test
