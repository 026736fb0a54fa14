package transforms

import "github.com/gantry-connect/gantry/connector"

// extractFieldConfig is the keys of ExtractField.
type extractFieldConfig struct {
	Field string `config:"field" required:"true" importance:"medium" doc:"The field that takes the place of the whole. A struct without it is an error, a JSON document without it becomes null."`
	nullDefaults
	fieldSyntax
}

// extractField is the mapper that puts one field in the place of its struct.
type extractField struct{ field reader }

func newExtractField(c *extractFieldConfig, on side, _ connector.Kind) (transform, error) {
	at, err := c.parse(c.Field)
	if err != nil {
		return nil, &connector.ConfigError{Field: "field", Value: c.Field, Reason: err.Error()}
	}
	return &remade{on, &extractField{reader{at: at}}}, nil
}

func (x *extractField) remake(_ *connector.Record, d connector.Datum) (connector.Datum, error) {
	return x.field.read(d)
}
