package converters

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/connector"
)

// TestEncodeDoesNotAllocate covers every type, since a row may have any. Decimals beyond 18 digits need a big.Int.
func TestEncodeDoesNotAllocate(t *testing.T) {
	for _, f := range formats {
		c := newConverter(t, f.name, f.options, f.isKey)
		buf := make([]byte, 0, 1<<16)
		for _, s := range append(scalars(), composites()...) {
			if _, err := c.Encode(buf, s.datum); err != nil || s.name == "decimal(40,2)" {
				continue
			}
			allocs := testing.AllocsPerRun(100, func() { _, _ = c.Encode(buf, s.datum) })
			require.Zero(t, allocs, "%s %s", f.golden, s.name)
		}
	}
}

// TestDecodeAllocatesSlabsOnly: a value list of 19 fields costs a part of a slab, and nothing else.
func TestDecodeAllocatesSlabsOnly(t *testing.T) {
	c, s := newConverter(t, "json", nil, false), flightsSchema()
	text := []byte(flightsJSON)
	allocs := testing.AllocsPerRun(10000, func() {
		if _, err := c.Decode(text, s); err != nil {
			t.Fatal(err)
		}
	})
	require.Less(t, allocs, 1.0)
}

func BenchmarkEncode(b *testing.B) {
	for _, f := range formats[:4] {
		b.Run(f.golden, func(b *testing.B) {
			c := newConverter(b, f.name, f.options, f.isKey)
			datum := connector.Datum{Schema: flightsSchema(), Value: flightsRow()}
			var buf []byte
			b.ReportAllocs()
			for b.Loop() {
				buf, _ = c.Encode(buf[:0], datum)
			}
			b.SetBytes(int64(len(buf)))
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, f := range formats[:4] {
		b.Run(f.golden, func(b *testing.B) {
			c := newConverter(b, f.name, f.options, f.isKey)
			datum := connector.Datum{Schema: flightsSchema(), Value: flightsRow()}
			text, err := c.Encode(nil, datum)
			require.NoError(b, err)
			if !c.ByReference() {
				datum.Schema = nil
			}
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if _, err := c.Decode(text, datum.Schema); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("inferred", func(b *testing.B) {
		c, text := newConverter(b, "json", nil, false), []byte(flightsJSON)
		b.ReportAllocs()
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			if _, err := c.Decode(text, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}
