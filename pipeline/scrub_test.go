package pipeline

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDeadLettersTellNoSecrets(t *testing.T) {
	t.Parallel()
	bad := &badRecord{stage: "write", err: errors.New("no access with s3cret")}
	tolerant := tolerance{scrub: func(text string) string { return strings.ReplaceAll(text, "s3cret", "********") }}
	require.Contains(t, fmt.Sprint(tolerant.letter(bad, &parcel{}).Properties), "no access with ********")
	require.NotContains(t, fmt.Sprint(tolerant.letter(bad, &parcel{}).Properties), "s3cret")
	tolerant.scrub = nil
	require.Contains(t, fmt.Sprint(tolerant.letter(bad, &parcel{}).Properties), "s3cret", "nobody said that it is one")
}
