// Package still makes pictures that show once more what the last one showed, in a
// few bytes: for screens that do not change, and encoders that then send nothing.
//
// A repeat changes nothing that later pictures rely on: VP9 and AV1 show a
// reference again, H264 gets a picture of skipped macroblocks that nobody refers to.
package still
