// Package converters turns the keys and values of records into message bytes and back: json, string and bytes.
//
// It owns the byte forms, which are pinned by the golden files in testdata, and refuses what it could not read back:
// Encode fails on a value that does not fit its schema, Decode on anything malformed, out of range or unknown. It
// keeps no state but caches of schemas, knows neither messages nor catalog, and imports package connector alone.
package converters
