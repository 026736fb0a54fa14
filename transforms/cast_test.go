package transforms_test

import (
	"math"
	"testing"
	"time"

	"github.com/gantry-connect/gantry/connector"
)

func TestCast(t *testing.T) {
	t.Parallel()
	run(t, "Cast", []onValue{
		{"to each type", []string{".spec=a:int8,b:int16,c:int32,d:int64,e:float32,f:float64,g:boolean,h:string"},
			row("a", 1, "b", "2", "c", 3.9, "d", number("-4.9"), "e", 5, "f", "6.5", "g", 1, "h", 8),
			`{a=int8 1, b=int16 2, c=int32 3, d=int64 -4, e=float32 5, f=float64 6.5, g=bool true, h=string "8"}`, ""},
		{"to string", []string{".spec=b:string,f:string,d:string,raw:string,id:string,day:string,clock:string,at:string,wall:string,json:string,s:string"},
			row("b", true, "f", 1.5, "d", number("1.50"), "raw", []byte("hi"), "id", [16]byte{0xab, 15: 1}, "day", days(19782), "clock", clock(3_600_000_000_000), "at", noon, "wall", wall(noon), "json", doc(`{"a":1}`), "s", "s"),
			`{b=string "true", f=string "1.5", d=string "1.50", raw=string "aGk=", id=string "ab000000-0000-0000-0000-000000000001", day=string "2024-02-29", clock=string "01:00:00", ` +
				`at=string "2024-02-29T12:00:05.25Z", wall=string "2024-02-29T12:00:05.25", json=string? "{\"a\":1}", s=string "s"}`, ""},
		{"of moments to numbers, as in Kafka Connect", []string{".spec=day:int32,clock:int32,at:int64,wall:float64"}, row("day", days(5), "clock", clock(1_500_000_000), "at", noon, "wall", wall(noon)),
			`{day=int32 5, clock=int32 1500, at=int64 1709208005250, wall=float64 1.70920800525e+12}`, ""},
		{"to boolean", []string{".spec=a:boolean,b:boolean,c:boolean,d:boolean"}, row("a", "TRUE", "b", "false", "c", 0.0, "d", number("0.1")), `{a=bool true, b=bool false, c=bool false, d=bool false}`, ""},
		{"to boolean, fractions cut off as to whole numbers", []string{".spec=a:boolean,b:boolean,c:boolean,d:boolean"}, row("a", -0.9, "b", math.NaN(), "c", -1.5, "d", number("2.5")), `{a=bool false, b=bool false, c=bool true, d=bool true}`, ""},
		{"floats to string as in JSON", []string{".spec=a:string,b:string,c:string,d:string,e:string,f:string"}, row("a", 1e7, "b", 1e21, "c", 1e-7, "d", math.Inf(-1), "e", math.NaN(), "f", float32(0.1)),
			`{a=string "10000000", b=string "1e+21", c=string "1e-07", d=string "-Infinity", e=string "NaN", f=string "0.1"}`, ""},
		{"texts to floats", []string{".spec=a:float64,b:float64,c:float64,d:float32"}, row("a", " 1.5e3\n", "b", "-Infinity", "c", "NaN", "d", "16777217.0000000001"),
			`{a=float64 1500, b=float64 -Inf, c=float64 NaN, d=float32 1.6777218e+07}`, ""},
		{"whole numbers to float32, rounded once", []string{".spec=a:float32"}, row("a", 1<<54+1<<30+1), `{a=float32 1.801440065696563e+16}`, ""},
		{"of booleans", []string{".spec=a:int32,b:float32"}, row("a", true, "b", false), `{a=int32 1, b=float32 0}`, ""},
		{"nested", []string{".spec=address.zip:string"}, row("address", address()), `{address={city=string "Bonn", zip=string "53111"}}`, ""},
		{"nested by name with dots", []string{".spec=`a.b`.c:string"}, row("a.b", row("c", 1)), `{a.b={c=string "1"}}`, ""},
		{"null", []string{".spec=a:string"}, row("a", maybe{5}, "b", 1), `{a=string? "5", b=int64 1}`, ""},
		{"null too", []string{".spec=id:string"}, row("id", null(2)), `{id=string? null}`, ""},
		{"the same type", []string{".spec=a:int64"}, row("a", 1), `{a=int64 1}`, ""},
		{"missing", []string{".spec=nope:string,a.nope:string"}, row("a", 1), `{a=int64 1}`, ""},
		{"whole", []string{".spec=string"}, 5, `string "5"`, ""},
		{"whole, null", []string{".spec=string"}, maybe{5}, `string? "5"`, ""},
		{"whole document", []string{".spec=int32"}, doc(` 12 `), `int32? 12`, ""},
		{"whole document, an object", []string{".spec=int32"}, doc(`{"a":1}`), "", "a JSON object or array cannot become a value of type int32"},
		{"document", []string{".spec=a:string,n.b:int32,c:boolean,d:string,e:float64,none:string"}, doc(`{"a":1.50,"n":{"b":"7"},"c":"true","d":[1,{}],"e":1,"none":null,"k": 0.10}`),
			`json {"a":"1.5","n":{"b":7},"c":true,"d":"[1,{}]","e":1,"none":null,"k":0.10}`, ""},
		{"null of a schema that was inferred", []string{".spec=a:int32"}, row("a", null(connector.JSON)), `{a=int32? null}`, ""},
		{"scalars in JSON columns", []string{".spec=a:int32,b:string,c:string,d:boolean"}, row("a", doc("5"), "b", doc(`"x"`), "c", doc("null"), "d", doc("true")), `{a=int32? 5, b=string? "x", c=string? null, d=bool? true}`, ""},
		{"object in a JSON column", []string{".spec=a:int32"}, row("a", doc("{}")), "", `field "a": a JSON object or array cannot become a value of type int32`},
		{"out of range", []string{".spec=a:int8"}, row("a", 128), "", `field "a": cast to int8: 128 is out of range`},
		{"out of range from a float", []string{".spec=a:int64"}, row("a", 1e30), "", "cast 1e+30 to a whole number: it is out of range"},
		{"out of range for float32", []string{".spec=a:float32"}, row("a", 1e300), "", "cast 1e+300 to float32"},
		{"text that is no number", []string{".spec=a:int32"}, row("a", "1x"), "", `field "a": cast "1x" to a whole number`},
		{"text that is a number in Go's source only", []string{".spec=a:float64"}, row("a", "1_000"), "", `field "a": cast "1_000" to a number`},
		{"text that is a number to C only", []string{".spec=a:float64"}, row("a", "inf"), "", `field "a": cast "inf" to a number`},
		{"years with more or less than four digits", []string{".spec=a:string,b:string,c:string,d:string"}, row("a", days(19782500), "b", days(-735525), "c", time.Date(12345, 1, 2, 3, 4, 5, 0, time.UTC), "d", wall(time.Date(-44, 3, 15, 0, 0, 0, 5, time.UTC))),
			`{a=string "+56132-08-24", b=string "-0044-03-15", c=string "+12345-01-02T03:04:05Z", d=string "-0044-03-15T00:00:00.000000005"}`, ""},
		{"a moment too far away for milliseconds", []string{".spec=a:int64"}, row("a", time.Unix(1<<60, 0)), "", "to milliseconds: it is out of range"},
		{"null of no struct", []string{".spec=a:int32"}, null(connector.String), `string? null`, ""},
		{"text that is no boolean", []string{".spec=a:boolean"}, row("a", "yes"), "", `cast "yes" to boolean: it is neither true nor false`},
		{"struct", []string{".spec=a:string"}, row("a", row("b", 1)), "", "there is no cast from a value of type struct (row) to string"},
		{"array", []string{".spec=a:int32"}, row("a", []int{1}), "", "there is no cast from a value of type array to int32"},
		{"fields of no struct", []string{".spec=a:int32"}, "x", "", "only structs and JSON objects"},
	})
}

func TestTimestampConverter(t *testing.T) {
	t.Parallel()
	const iso = ".format=yyyy-MM-dd'T'HH:mm:ss.SSSX"
	run(t, "TimestampConverter", []onValue{
		{"to string", []string{".field=a", ".target.type=string", iso}, row("a", noon, "b", 1), `{a=string "2024-02-29T12:00:05.250Z", b=int64 1}`, ""},
		{"string to Timestamp", []string{".field=a", ".target.type=Timestamp", iso}, row("a", "2024-02-29T14:00:05.250+02:00"), `{a=timestamptz 2024-02-29T12:00:05.25Z}`, ""},
		{"string to string", []string{".field=a", ".target.type=string", iso}, row("a", "2024-02-29T14:00:05.250+02:00"), `{a=string "2024-02-29T12:00:05.250Z"}`, ""},
		{"to unix", []string{".field=a", ".target.type=unix"}, row("a", noon), `{a=int64 1709208005250}`, ""},
		{"to unix seconds", []string{".field=a", ".target.type=unix", ".unix.precision=seconds"}, row("a", wall(noon)), `{a=int64 1709208005}`, ""},
		{"to unix nanoseconds", []string{".field=a", ".target.type=unix", ".unix.precision=nanoseconds"}, row("a", noon), `{a=int64 1709208005250000000}`, ""},
		{"unix to Timestamp", []string{".field=a", ".target.type=Timestamp"}, row("a", -1), `{a=timestamptz 1969-12-31T23:59:59.999Z}`, ""},
		{"unix microseconds to Timestamp", []string{".field=a", ".target.type=Timestamp", ".unix.precision=microseconds"}, row("a", 1_500_000), `{a=timestamptz 1970-01-01T00:00:01.5Z}`, ""},
		{"int32 seconds", []string{".field=a", ".target.type=Timestamp", ".unix.precision=seconds"}, row("a", int32(60)), `{a=timestamptz 1970-01-01T00:01:00Z}`, ""},
		{"to Date", []string{".field=a", ".target.type=Date"}, row("a", noon), `{a=date 19782}`, ""},
		{"to Date before 1970", []string{".field=a", ".target.type=Date"}, row("a", -1), `{a=date -1}`, ""},
		{"to Time", []string{".field=a", ".target.type=Time"}, row("a", noon), `{a=time 43205250000000}`, ""},
		{"Date to unix", []string{".field=a", ".target.type=unix"}, row("a", days(1)), `{a=int64 86400000}`, ""},
		{"Time to string", []string{".field=a", ".target.type=string", ".format=h:mm a"}, row("a", clock(13*3_600_000_000_000)), `{a=string "1:00 PM"}`, ""},
		{"Timestamp without zone stays so", []string{".field=a", ".target.type=Timestamp"}, row("a", wall(noon)), `{a=timestamp 2024-02-29T12:00:05.25Z}`, ""},
		{"null", []string{".field=a", ".target.type=Date"}, row("a", null(5)), `{a=date? null}`, ""},
		{"missing", []string{".field=nope", ".target.type=Date"}, row("a", 1), `{a=int64 1}`, ""},
		{"nested", []string{".field=n.a", ".target.type=Date"}, row("n", row("a", 0)), `{n={a=date 0}}`, ""},
		{"whole", []string{".target.type=unix"}, noon, `int64 1709208005250`, ""},
		{"whole document", []string{".target.type=Timestamp"}, doc("0"), `timestamptz? 1970-01-01T00:00:00Z`, ""},
		{"document", []string{".field=n.a", ".target.type=string", ".format=yyyyMMdd"}, doc(`{"n":{"a":1709208005250}}`), `json {"n":{"a":"20240229"}}`, ""},
		{"document to Timestamp", []string{".field=a", ".target.type=Timestamp", ".format=yyyyMMdd"}, doc(`{"a":"20240229"}`), `json {"a":"2024-02-29T00:00:00Z"}`, ""},
		{"null of a schema that was inferred", []string{".field=a", ".target.type=Date"}, row("a", null(connector.JSON)), `{a=date? null}`, ""},
		{"scalar in a JSON column", []string{".field=a", ".target.type=unix", ".format=yyyy"}, row("a", doc(`"1970"`)), `{a=int64? 0}`, ""},
		{"number in a JSON column", []string{".field=a", ".target.type=unix"}, row("a", doc(`5`)), `{a=int64? 5}`, ""},
		{"text of another form", []string{".field=a", ".target.type=unix", ".format=yyyy"}, row("a", "x"), "", `field "a": read "x" as a date`},
		{"text without format", []string{".field=a", ".target.type=unix"}, row("a", "x"), "", "a text cannot be read as a date without the key format"},
		{"no moment", []string{".field=a", ".target.type=unix"}, row("a", true), "", "a value of type bool is no date"},
		{"out of range", []string{".field=a", ".target.type=unix", ".unix.precision=nanoseconds"}, row("a", days(1_000_000)), "", "out of range"},
		{"document to a late Date", []string{".field=a", ".target.type=Date"}, doc(`{"a":1709208005250123}`), `json {"a":"+56132-08-24"}`, ""},
		{"beyond all dates", []string{".field=a", ".target.type=Date", ".unix.precision=seconds"}, row("a", 1709208005250123456), "", `field "a": 1709208005250123456 is outside the years -999999999 to 999999999; does unix.precision fit?`},
		{"field of no struct", []string{".field=a", ".target.type=unix"}, "x", "", "only structs and JSON objects"},
	})
}
