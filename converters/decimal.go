package converters

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"strconv"
)

// maxDigits bounds what a scale or an exponent may make of a decimal: a few bytes must not become gigabytes.
const maxDigits = 20000

var (
	errDecimal = errors.New(`is no decimal of plain digits such as "-12.50", nor "NaN"`)
	errScale   = errors.New("has more digits after the point than its schema's scale")
	errNoNaN   = errors.New("NaN has no form in a decimal of fixed scale")
)

// isDecimal reports whether s is a connector.Decimal's text.
func isDecimal(s string) bool {
	if s == "NaN" {
		return true
	}
	if len(s) > 0 && s[0] == '-' {
		s = s[1:]
	}
	digits := 0
	for digits < len(s) && s[digits]-'0' <= 9 {
		digits++
	}
	if digits == 0 || digits == len(s) {
		return digits > 0
	}
	if s[digits] != '.' || digits+1 == len(s) {
		return false
	}
	for _, c := range raw(s[digits+1:]) {
		if c-'0' > 9 {
			return false
		}
	}
	return true
}

// appendScaled appends the digits of s times ten to the power of scale, without point and leading zeros.
func appendScaled(dst []byte, s string, scale int) ([]byte, error) {
	if !isDecimal(s) {
		return dst, fmt.Errorf("%.40q %w", s, errDecimal)
	}
	if s == "NaN" {
		return dst, errNoNaN
	}
	start, fraction, behind := len(dst), 0, false
	if s[0] == '-' {
		dst, s, start = append(dst, '-'), s[1:], start+1
	}
	for _, c := range raw(s) {
		switch {
		case c == '.':
			behind = true
			continue
		case behind && fraction == scale:
			if c != '0' {
				return dst, errScale
			}
			continue
		case behind:
			fraction++
		}
		if len(dst) == start && c == '0' {
			continue
		}
		dst = append(dst, c)
	}
	for ; fraction < scale && len(dst) > start; fraction++ {
		dst = append(dst, '0')
	}
	if len(dst) == start {
		dst = append(dst, '0')
	}
	return dst, nil
}

// appendFixed appends s as a JSON number with scale digits after the point.
func appendFixed(dst []byte, s string, scale int) ([]byte, error) {
	var buf [48]byte
	digits, err := appendScaled(buf[:0], s, scale)
	if err != nil {
		return dst, err
	}
	return appendPoint(dst, digits, scale), nil
}

// appendPoint appends a whole number's digits divided by ten to the power of scale, with scale digits after the point.
func appendPoint(dst, digits []byte, scale int) []byte {
	if digits[0] == '-' {
		dst, digits = append(dst, '-'), digits[1:]
	}
	if scale < 0 && string(digits) != "0" {
		dst = append(dst, digits...)
		for ; scale < 0; scale++ {
			dst = append(dst, '0')
		}
		return dst
	}
	if scale <= 0 {
		return append(dst, digits...)
	}
	if len(digits) > scale {
		dst = append(append(dst, digits[:len(digits)-scale]...), '.')
		return append(dst, digits[len(digits)-scale:]...)
	}
	dst = append(dst, '0', '.')
	for i := len(digits); i < scale; i++ {
		dst = append(dst, '0')
	}
	return append(dst, digits...)
}

// appendUnscaled appends base64 of s's unscaled value in the fewest bytes of big-endian two's complement, as Java's
// BigInteger gives it.
func appendUnscaled(dst []byte, s string, scale int) ([]byte, error) {
	var buf [48]byte
	digits, err := appendScaled(buf[:0], s, scale)
	if err != nil {
		return dst, err
	}
	var bytes [8]byte
	if len(digits) <= 18 { // a sign and 18 digits, or less, fit an int64
		n := int64(0)
		for _, c := range digits {
			if c != '-' {
				n = n*10 + int64(c-'0')
			}
		}
		if digits[0] == '-' {
			n = -n
		}
		return base64.StdEncoding.AppendEncode(dst, twosComplement(&bytes, n)), nil
	}
	n, _ := new(big.Int).SetString(string(digits), 10)
	return base64.StdEncoding.AppendEncode(dst, bigComplement(n)), nil
}

func twosComplement(buf *[8]byte, n int64) []byte {
	i := 8
	for {
		i--
		buf[i] = byte(n)
		n >>= 7 // leaves the sign bit of the byte just written: when all the rest equals it, nothing more is needed
		if n == 0 || n == -1 {
			return buf[i:]
		}
		n >>= 1
	}
}

func bigComplement(n *big.Int) []byte {
	if n.Sign() >= 0 {
		return n.FillBytes(make([]byte, n.BitLen()/8+1))
	}
	size := new(big.Int).Not(n).BitLen()/8 + 1
	whole := new(big.Int).Lsh(big.NewInt(1), uint(size)*8)
	return whole.Add(whole, n).FillBytes(make([]byte, size))
}

// appendComplement appends the digits of a big-endian two's complement number.
func appendComplement(dst, b []byte) ([]byte, error) {
	if len(b) == 0 {
		return dst, errors.New("an empty unscaled value")
	}
	if len(b) > maxDigits {
		return dst, errors.New("an unscaled value of too many bytes")
	}
	if len(b) <= 8 {
		n := int64(int8(b[0]))
		for _, c := range b[1:] {
			n = n<<8 | int64(c)
		}
		return strconv.AppendInt(dst, n, 10), nil
	}
	n := new(big.Int).SetBytes(b)
	if b[0] >= 0x80 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(len(b))*8))
	}
	return n.Append(dst, 10), nil
}

// appendPlainNumber appends a JSON number, which may have an exponent, as a decimal's text.
func appendPlainNumber(dst, number []byte) ([]byte, error) {
	mantissa, exponent := number, 0
	for i, c := range number {
		if c == 'e' || c == 'E' {
			var err error
			if exponent, err = strconv.Atoi(string(number[i+1:])); err != nil || exponent > maxDigits || exponent < -maxDigits {
				return dst, fmt.Errorf("%.40q: the exponent is out of range for a decimal", number)
			}
			mantissa = number[:i]
			break
		}
	}
	if exponent == 0 {
		return append(dst, mantissa...), nil
	}
	digits := make([]byte, 0, len(mantissa))
	fraction := 0
	for i, c := range mantissa {
		switch {
		case c == '.':
			fraction = len(mantissa) - i - 1
		case c == '0' && (len(digits) == 0 || (len(digits) == 1 && digits[0] == '-')):
		default:
			digits = append(digits, c)
		}
	}
	if len(digits) == 0 || digits[len(digits)-1] == '-' {
		digits = append(digits, '0')
	}
	return appendPoint(dst, digits, fraction-exponent), nil
}
