package postgres

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"github.com/gantry-connect/gantry/connector"
)

// The sign field of a binary numeric.
const (
	numericNegative = 0x4000
	numericNaN      = 0xC000
)

func encodeIntAsNumeric(dst []byte, v connector.Value) ([]byte, error) {
	var digits [20]byte
	return appendNumeric(dst, string(strconv.AppendInt(digits[:0], v.Int(), 10)))
}

// decimalEncoder refuses digits that the column would round away.
func decimalEncoder(typ string) encode {
	_, scale, limited := numericLimits(typ)
	return func(dst []byte, v connector.Value) ([]byte, error) {
		text := v.Text()
		if point := strings.IndexByte(text, '.'); limited && point >= 0 && len(text)-point-1 > scale {
			if fraction := strings.TrimRight(text[point+1:], "0"); len(fraction) > max(scale, 0) {
				return dst, fmt.Errorf("the decimal %s has more digits after the point than %s keeps", text, typ)
			}
		}
		return appendNumeric(dst, text)
	}
}

// appendNumeric appends plain decimal digits as a binary numeric: the number of base-10000 digits, the weight of the
// first one, the sign, the number of decimal digits after the point, and the digits (numeric_recv in numeric.c).
func appendNumeric(dst []byte, text string) ([]byte, error) {
	if text == "NaN" {
		return append(dst, 0, 0, 0, 0, numericNaN>>8, numericNaN&0xff, 0, 0), nil
	}
	whole, fraction, sign, ok := splitDecimal(text)
	if !ok {
		return dst, fmt.Errorf("%q is no decimal number", text)
	}
	for len(whole) > 0 && whole[0] == '0' {
		whole = whole[1:]
	}
	groups := (len(whole) + 3) / 4
	fractionGroups := (len(fraction) + 3) / 4
	if groups+fractionGroups > 1<<15 || len(fraction) > 16383 {
		return dst, fmt.Errorf("a decimal with %d digits before and %d after the point does not fit numeric", len(whole), len(fraction))
	}
	at := len(dst)
	dst = append(dst, 0, 0, 0, 0, 0, 0, 0, 0)
	first := len(whole) - groups*4 // zero or negative: the first group may be short
	weight := groups - 1
	for g := range groups {
		dst = appendGroup(dst, whole, first+g*4)
	}
	for g := range fractionGroups {
		dst = appendGroup(dst, fraction, g*4)
	}
	// Leading and trailing zero groups are not part of the form.
	lead := 0
	for body := dst[at+8:]; lead+1 < len(body) && body[lead] == 0 && body[lead+1] == 0; lead += 2 {
		weight--
	}
	if lead > 0 {
		dst = append(dst[:at+8], dst[at+8+lead:]...)
	}
	for len(dst) > at+8 && dst[len(dst)-1] == 0 && dst[len(dst)-2] == 0 {
		dst = dst[:len(dst)-2]
	}
	if len(dst) == at+8 {
		weight, sign = 0, 0 // zero has no sign
	}
	binary.BigEndian.PutUint16(dst[at:], uint16((len(dst)-at-8)/2))
	binary.BigEndian.PutUint16(dst[at+2:], uint16(int16(weight)))
	binary.BigEndian.PutUint16(dst[at+4:], sign)
	binary.BigEndian.PutUint16(dst[at+6:], uint16(len(fraction)))
	return dst, nil
}

// appendGroup appends the four decimal digits from index from on; those outside digits are zeros.
func appendGroup(dst []byte, digits string, from int) []byte {
	var n uint16
	for i := from; i < from+4; i++ {
		n *= 10
		if i >= 0 && i < len(digits) {
			n += uint16(digits[i] - '0')
		}
	}
	return binary.BigEndian.AppendUint16(dst, n)
}

// splitDecimal takes "-12.50" apart into "12", "50" and its sign field.
func splitDecimal(text string) (whole, fraction string, sign uint16, ok bool) {
	if text != "" && (text[0] == '-' || text[0] == '+') {
		if text[0] == '-' {
			sign = numericNegative
		}
		text = text[1:]
	}
	point := -1
	for i := range len(text) {
		switch {
		case text[i] == '.' && point < 0:
			point = i
		case text[i] < '0' || text[i] > '9':
			return "", "", 0, false
		}
	}
	if point < 0 {
		return text, "", sign, text != ""
	}
	return text[:point], text[point+1:], sign, len(text) > 1
}
