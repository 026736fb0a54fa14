package converters

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/gantry-connect/gantry/connector"
)

// The envelope {"schema":S,"payload":P} is what RocketMQ Connect's and Kafka Connect's JsonConverter write with
// schemas.enable=true (JsonSchema.java in both). They differ in the logical types' names only. Types that they do not
// have travel as a type that they have, with our own type in the parameter gantry.type:
//
//   - uuid, json, enum (with gantry.symbols, a JSON array), a decimal without fixed scale: string
//   - time, timestamp, timestamptz: Connect's Time and Timestamp in milliseconds where the precision is at most 3, else a
//     string, as Connect's types cannot hold more
//   - a timestamp without zone in Connect's Timestamp: its wall clock as if it were UTC
//
// A decimal of fixed scale is read back with all its digits after the point. Defaults in schemas read are not kept: a
// null is a null.
const (
	rocketNames = "io.openmessaging.connector.api.data.logical."
	kafkaNames  = "org.apache.kafka.connect.data."

	// The parameters of ours.
	ours           = "gantry."
	paramType      = ours + "type"
	paramName      = ours + "name"    // Schema.Name where Connect's name says the logical type
	paramVersion   = ours + "version" // Schema.Version likewise
	paramPrecision = ours + "precision"
	paramScale     = ours + "scale"
	paramSymbols   = ours + "symbols"

	// Connect's own, of a Decimal. The second is a convention of Kafka's JDBC connector and Debezium.
	connectScale     = "scale"
	connectPrecision = "connect.decimal.precision"
)

// connectTypes are Connect's names of the types that it has.
var connectTypes = map[connector.Type]string{
	connector.Bool: "boolean", connector.Int8: "int8", connector.Int16: "int16", connector.Int32: "int32", connector.Int64: "int64",
	connector.Float32: "float", connector.Float64: "double", connector.String: "string", connector.Bytes: "bytes",
	connector.Array: "array", connector.Map: "map", connector.Struct: "struct",
}

// connectSchema is S; in a struct's fields it also has the field's name.
type connectSchema struct {
	Field      string            `json:"field,omitempty"`
	Name       string            `json:"name,omitempty"`
	Optional   bool              `json:"optional"`
	Type       string            `json:"type"`
	Version    int               `json:"version,omitempty"`
	Parameters map[string]string `json:"parameters,omitempty"`
	Doc        string            `json:"doc,omitempty"`
	Items      *connectSchema    `json:"items,omitempty"`
	Keys       *connectSchema    `json:"keys,omitempty"`
	Values     *connectSchema    `json:"values,omitempty"`
	Fields     []connectSchema   `json:"fields,omitzero"` // Connect wants it of a struct without fields, too
}

// appendHead appends the envelope up to the payload.
func appendHead(dst []byte, s *connector.Schema, st style) ([]byte, error) {
	c, err := toConnect(s, st)
	if err != nil {
		return nil, err
	}
	var text strings.Builder
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(c); err != nil {
		return nil, err
	}
	dst = append(dst, `{"schema":`...)
	dst = append(dst, strings.TrimSuffix(text.String(), "\n")...)
	return append(dst, `,"payload":`...), nil
}

func toConnect(s *connector.Schema, st style) (*connectSchema, error) {
	c := &connectSchema{Name: s.Name, Optional: s.Optional, Version: s.Version, Doc: s.Doc, Type: connectTypes[s.Type]}
	c.Parameters = maps.Clone(s.Params)
	for k := range s.Params {
		if strings.HasPrefix(k, ours) {
			return nil, fmt.Errorf("parameter %q: names that begin with %q are Gantry's", k, ours)
		}
	}
	switch s.Type {
	case connector.Array, connector.Map:
		return c, connectElems(c, s, st)
	case connector.Struct:
		c.Fields = make([]connectSchema, len(s.Fields))
		for i, f := range s.Fields {
			field, err := toConnect(f.Schema, st)
			if err != nil {
				return nil, fmt.Errorf("field %q: %w", f.Name, err)
			}
			field.Field = f.Name
			c.Fields[i] = *field
		}
		return c, nil
	}
	if c.Type != "" {
		return c, nil
	}
	return c, connectScalar(c, s, st)
}

func connectElems(c *connectSchema, s *connector.Schema, st style) error {
	elem, err := toConnect(s.Elem, st)
	if err != nil || s.Type == connector.Array {
		c.Items = elem
		return err
	}
	c.Values = elem
	c.Keys, err = toConnect(s.Key, st)
	return err
}

// connectScalar describes the types that Connect has as logical types or not at all.
func connectScalar(c *connectSchema, s *connector.Schema, st style) error {
	switch form := formOf(s, st); form {
	case asUnscaled, asNumber:
		for _, k := range []string{connectScale, connectPrecision} {
			if _, taken := s.Params[k]; taken {
				return fmt.Errorf("parameter %q of a decimal is Connect's", k)
			}
		}
		c.logical(s, "bytes", "Decimal", st)
		c.set(connectScale, strconv.Itoa(s.Scale))
		if s.Precision > 0 {
			c.set(connectPrecision, strconv.Itoa(s.Precision))
		}
		return nil
	case asDays:
		c.logical(s, "int32", "Date", st)
	case asTimeMillis:
		c.logical(s, "int32", "Time", st)
	case asStampMillis:
		c.logical(s, "int64", "Timestamp", st)
		if s.Type == connector.Timestamp {
			c.set(paramType, s.Type.String())
		}
	default:
		c.Type = "string"
		c.set(paramType, s.Type.String())
	}
	if millis := c.Type != "string"; (s.PrecisionSet || s.Precision > 0) && !(millis && s.Precision == 3) {
		c.set(paramPrecision, strconv.Itoa(s.Precision))
	}
	if s.Scale != 0 {
		c.set(paramScale, strconv.Itoa(s.Scale))
	}
	if s.Type == connector.Enum {
		symbols, err := json.Marshal(s.Symbols)
		if err != nil {
			return err
		}
		c.set(paramSymbols, string(symbols))
	}
	return nil
}

// logical makes c one of Connect's logical types, all of version 1.
func (c *connectSchema) logical(s *connector.Schema, typ, name string, st style) {
	c.Type, c.Version = typ, 1
	c.Name = rocketNames + name
	if st.kafka {
		c.Name = kafkaNames + name
	}
	if s.Name != "" {
		c.set(paramName, s.Name)
	}
	if s.Version != 0 {
		c.set(paramVersion, strconv.Itoa(s.Version))
	}
}

func (c *connectSchema) set(k, v string) {
	if c.Parameters == nil {
		c.Parameters = map[string]string{}
	}
	c.Parameters[k] = v
}

// take removes one of the parameters that are not the user's.
func (c *connectSchema) take(k string) string {
	v := c.Parameters[k]
	delete(c.Parameters, k)
	return v
}

func (c *connectSchema) takeInt(k string) (int, error) {
	text := c.take(k)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n > maxDigits || n < -maxDigits {
		return 0, fmt.Errorf("parameter %s = %q: must be a number of at most %d", k, text, maxDigits)
	}
	return n, nil
}

// fromConnect is the inverse of toConnect; it also notes which schemas are Connect's decimals. It uses c up.
func fromConnect(c *connectSchema, decimals map[*connector.Schema]bool, depth int) (s *connector.Schema, err error) {
	if depth > maxDepth {
		return nil, errDepth
	}
	s = &connector.Schema{Optional: c.Optional, Name: c.Name, Version: c.Version, Doc: c.Doc}
	switch c.Type {
	case "struct":
		s.Type = connector.Struct
		for i := range c.Fields {
			f, err := fromConnect(&c.Fields[i], decimals, depth+1)
			if err != nil {
				return nil, fmt.Errorf("field %q: %w", c.Fields[i].Field, err)
			}
			s.Fields = append(s.Fields, connector.Field{Name: c.Fields[i].Field, Schema: f})
		}
	case "array", "map":
		err = elemsFromConnect(s, c, decimals, depth)
	default:
		err = scalarFromConnect(s, c, decimals)
	}
	if len(c.Parameters) > 0 {
		s.Params = c.Parameters
	}
	return s, err
}

func elemsFromConnect(s *connector.Schema, c *connectSchema, decimals map[*connector.Schema]bool, depth int) (err error) {
	elem := c.Items
	if s.Type = connector.Array; c.Type == "map" {
		s.Type, elem = connector.Map, c.Values
		if c.Keys == nil {
			return fmt.Errorf("a map without the schema of its keys")
		}
		if s.Key, err = fromConnect(c.Keys, decimals, depth+1); err != nil {
			return fmt.Errorf("map key: %w", err)
		}
	}
	if elem == nil {
		return fmt.Errorf("a schema of type %s without the schema of its elements", c.Type)
	}
	if s.Elem, err = fromConnect(elem, decimals, depth+1); err != nil {
		return fmt.Errorf("element: %w", err)
	}
	return nil
}

func scalarFromConnect(s *connector.Schema, c *connectSchema, decimals map[*connector.Schema]bool) (err error) {
	name, ok := strings.CutPrefix(c.Name, rocketNames)
	if !ok {
		name, ok = strings.CutPrefix(c.Name, kafkaNames)
	}
	if ok && slices.Contains([]string{"bytes Decimal", "int32 Date", "int32 Time", "int64 Timestamp"}, c.Type+" "+name) {
		return logicalFromConnect(s, c, name, decimals)
	}
	if s.Type, err = basicType(c); err != nil {
		return err
	}
	return ownFromConnect(s, c)
}

// basicType is c's type when it is none of Connect's logical ones.
func basicType(c *connectSchema) (connector.Type, error) {
	if own := c.take(paramType); own != "" {
		if c.Type != "string" {
			return connector.Invalid, fmt.Errorf("parameter %s = %q on the type %q", paramType, own, c.Type)
		}
		t, err := connector.ParseType(own)
		if _, connects := connectTypes[t]; err == nil && (connects || t == connector.Date) {
			err = fmt.Errorf("the type %v does not travel as a string", t)
		}
		return t, err
	}
	switch c.Type {
	case "float32":
		return connector.Float32, nil
	case "float64":
		return connector.Float64, nil
	}
	for t, name := range connectTypes {
		if name == c.Type {
			return t, nil
		}
	}
	return connector.Invalid, fmt.Errorf("the type %q is not one of Connect's", c.Type)
}

// ownFromConnect reads the parameters of ours.
func ownFromConnect(s *connector.Schema, c *connectSchema) (err error) {
	_, s.PrecisionSet = c.Parameters[paramPrecision]
	if s.Precision, err = c.takeInt(paramPrecision); err != nil {
		return err
	}
	if s.Type == connector.Decimal {
		s.PrecisionSet = false // says nothing of a decimal
	}
	if s.Scale, err = c.takeInt(paramScale); err != nil {
		return err
	}
	if symbols := c.take(paramSymbols); symbols != "" {
		if err := json.Unmarshal([]byte(symbols), &s.Symbols); err != nil {
			return fmt.Errorf("parameter %s: %w", paramSymbols, err)
		}
	}
	return nil
}

func logicalFromConnect(s *connector.Schema, c *connectSchema, name string, decimals map[*connector.Schema]bool) (err error) {
	s.Name = c.take(paramName)
	if s.Version, err = c.takeInt(paramVersion); err != nil {
		return err
	}
	own := c.take(paramType)
	if err := ownFromConnect(s, c); err != nil {
		return err
	}
	switch name {
	case "Decimal":
		s.Type, decimals[s] = connector.Decimal, true
		if _, ok := c.Parameters[connectScale]; !ok {
			return fmt.Errorf("a decimal without the parameter %q", connectScale)
		}
		if s.Scale, err = c.takeInt(connectScale); err != nil {
			return err
		}
		s.Precision, err = c.takeInt(connectPrecision)
		return err
	case "Date":
		s.Type = connector.Date
		return nil
	case "Time":
		s.Type = connector.Time
	case "Timestamp":
		if s.Type = connector.TimestampTZ; own == connector.Timestamp.String() {
			s.Type = connector.Timestamp
		}
	}
	if !s.PrecisionSet {
		s.Precision, s.PrecisionSet = 3, true
	}
	if s.Precision > 3 || s.Precision < 0 {
		return fmt.Errorf("a precision of %d in Connect's %s, which has milliseconds", s.Precision, name)
	}
	return nil
}
