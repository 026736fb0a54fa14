package converters_test

import (
	"fmt"

	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/converters"
)

func Example() {
	schema := connector.StructOf("airlines",
		connector.Field{Name: "carrier", Schema: connector.Of(connector.String)},
		connector.Field{Name: "founded", Schema: connector.OptionalOf(connector.Date)})
	row := connector.Datum{Schema: schema, Value: connector.ListValue([]connector.Value{connector.TextValue("UA"), connector.IntValue(-15980)})}

	for _, enable := range []string{"false", "true"} {
		c, err := converters.New("json", map[string]string{"schemas.enable": enable}, false)
		if err != nil {
			fmt.Println(err)
			return
		}
		text, err := c.Encode(nil, row)
		fmt.Println(string(text), err)
	}
	// Output:
	// {"carrier":"UA","founded":"1926-04-02"} <nil>
	// {"schema":{"name":"airlines","optional":false,"type":"struct","fields":[{"field":"carrier","optional":false,"type":"string"},{"field":"founded","name":"io.openmessaging.connector.api.data.logical.Date","optional":true,"type":"int32","version":1}]},"payload":{"carrier":"UA","founded":-15980}} <nil>
}
