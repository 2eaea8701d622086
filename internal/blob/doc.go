// Package blob keeps objects: on disk, in memory for tests, or in anything that
// speaks S3. A URL says where: Open("file:///var/lib/sluice/blob"),
// Open("s3://bucket/prefix?region=eu-central-1"), Open("mem://").
//
// It promises that an object is there whole or not at all, that Put has compared
// what the store says with what was sent, and, on disk, that it survives a power
// cut when Put returns. Its methods have no types of their own but Store, so that
// rooms can declare what they need of it; cmd owns it and passes it to them.
//
// gocloud.dev/blob is behind it: one API for all three, with multipart uploads and
// the AWS credential chain, which is not ours to write. Only its file, memory and
// S3 drivers are linked.
package blob
