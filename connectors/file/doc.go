// Package file holds the FileSource and FileSink connectors: lines, CSV rows and JSON documents of local files, plain
// or compressed, into records and back.
//
// The source knows a file by inode and by a fingerprint of what it has read, not by path, and promises the same records
// with the same marks whenever it starts again. The sink keeps its position beside the data, so that a file holds
// exactly the records up to it after any crash. Neither knows topics, Temporal or the catalog; remote file systems
// without rename and fsync as POSIX has them are not supported.
package file
