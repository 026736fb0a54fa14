package control

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/connector"
)

// touchy has a check that panics.
type touchy struct {
	Password connector.Secret `config:"password" doc:"Password."`
}

func TestAConnectorWhoseCheckPanicsIsToldOf(t *testing.T) {
	t.Parallel()
	s := New(Options{Plugins: connector.Plugins{connector.NewSource(connector.SourceSpec[touchy]{Class: "TestSource", Version: "1",
		Check: func(c *touchy) error { panic(errors.New("nobody gets through with " + string(c.Password))) }})}})
	class, name, topic, password := "TestSource", "n", "t", "hunter22"
	v, err := s.Validate("TestSource", map[string]*string{"connector.class": &class, "name": &name, "topic": &topic, "password": &password})
	require.NoError(t, err)
	for _, c := range v.Configs {
		if c.Value.Name == "connector.class" {
			require.Len(t, c.Value.Errors, 1)
			require.Contains(t, c.Value.Errors[0], "panicked: nobody gets through with")
			require.NotContains(t, c.Value.Errors[0], password)
			return
		}
	}
	t.Fatal("the class has no result")
}
