package postgres

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/gantry-connect/gantry/connector"
)

// sqlType is the type of the column that auto.create makes for values of schema s.
func sqlType(s *connector.Schema) string {
	switch s.Type {
	case connector.Bool:
		return "boolean"
	case connector.Int8, connector.Int16:
		return "smallint"
	case connector.Int32:
		return "integer"
	case connector.Int64:
		return "bigint"
	case connector.Float32:
		return "real"
	case connector.Float64:
		return "double precision"
	case connector.Decimal:
		return numericType(s.Precision, s.Scale)
	case connector.Bytes:
		return "bytea"
	case connector.Date:
		return "date"
	case connector.Time:
		return "time(6) without time zone"
	case connector.Timestamp:
		return "timestamp(6) without time zone"
	case connector.TimestampTZ:
		return "timestamp(6) with time zone"
	case connector.UUID:
		return "uuid"
	case connector.JSON, connector.Map, connector.Struct:
		return "jsonb"
	case connector.Array:
		switch s.Elem.Type {
		case connector.Array, connector.Map, connector.Struct:
			return "jsonb"
		}
		return sqlType(s.Elem) + "[]"
	default: // String, Enum
		return "text"
	}
}

// maxNumericPrecision is NUMERIC_MAX_PRECISION: above it, numeric takes no modifier.
const maxNumericPrecision = 1000

func numericType(precision, scale int) string {
	if precision <= 0 || precision > maxNumericPrecision || scale < 0 || scale > precision {
		return "numeric"
	}
	return fmt.Sprintf("numeric(%d,%d)", precision, scale)
}

// numericLimits are the precision and scale of a column's type; ok is false where it has none.
func numericLimits(typ string) (precision, scale int, ok bool) {
	inside, found := strings.CutPrefix(typ, "numeric(")
	p, s, comma := strings.Cut(strings.TrimSuffix(inside, ")"), ",")
	if !found || !comma {
		return 0, 0, false
	}
	precision, errP := strconv.Atoi(p)
	scale, errS := strconv.Atoi(s)
	return precision, scale, errP == nil && errS == nil
}

// wider is the type to which auto.evolve changes column c so that every value of schema s fits, or nothing if it fits
// already or there is no such type.
func wider(s *connector.Schema, c *column) string {
	if c.oid != c.base || c.elem != 0 { // a domain or an array: somebody's own idea
		return ""
	}
	switch s.Type {
	case connector.Int32:
		if c.base == oidInt2 {
			return "integer"
		}
	case connector.Int64:
		if c.base == oidInt2 || c.base == oidInt4 {
			return "bigint"
		}
	case connector.Float64:
		if c.base == oidFloat4 {
			return "double precision"
		}
	case connector.Decimal:
		if c.base == oidNumeric {
			return widerNumeric(s, c.typ)
		}
	}
	return ""
}

func widerNumeric(s *connector.Schema, typ string) string {
	precision, scale, ok := numericLimits(typ)
	if !ok {
		return ""
	}
	if numericType(s.Precision, s.Scale) == "numeric" {
		return "numeric"
	}
	digits := max(precision-scale, s.Precision-s.Scale)
	newScale := max(scale, s.Scale)
	if digits == precision-scale && newScale == scale {
		return ""
	}
	return numericType(digits+newScale, newScale)
}
