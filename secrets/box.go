package secrets

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// sealedKind is the kind of reference that holds its value itself, encrypted.
const sealedKind = "sealed"

// ErrNoKey says that a sealed value was met, or was to be made, without a keyset.
var ErrNoKey = errors.New("there is no key: set GANTRY_SECRETS_KEYSET (gantry key create makes one) for the API and every worker")

// Box seals values for the catalog and opens them: AES-256-GCM, under the first of its keys; what any of its keys has
// sealed it opens. A sealed value opens only in the environment, in the connector and under the key of the config that it
// was sealed for. A nil Box has no key.
type Box struct {
	aead        tink.AEAD
	environment string
}

// OpenBox makes a box for an environment from a keyset's text; nil if the text is empty.
func OpenBox(keysetText, environment string) (*Box, error) {
	if keysetText == "" {
		return nil, nil
	}
	handle, err := readKeyset(keysetText)
	if err != nil {
		return nil, err
	}
	primitive, err := aead.New(handle)
	if err != nil {
		return nil, fmt.Errorf("use the keyset (secrets.keyset): %w", err)
	}
	return &Box{aead: primitive, environment: environment}, nil
}

// Seal encrypts a value of a connector's config, as a reference that Open and Resolve understand.
func (b *Box) Seal(connector, key, value string) (string, error) {
	if b == nil {
		return "", ErrNoKey
	}
	sealed, err := b.aead.Encrypt([]byte(value), b.associated(connector, key))
	if err != nil {
		return "", fmt.Errorf("seal %s of connector %s: %w", key, connector, err)
	}
	return "${" + sealedKind + ":" + base64.RawURLEncoding.EncodeToString(sealed) + "}", nil
}

// Open decrypts the text of a sealed reference.
func (b *Box) Open(connector, key, text string) (string, error) {
	if b == nil {
		return "", ErrNoKey
	}
	sealed, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return "", errors.New("the sealed value is damaged")
	}
	value, err := b.aead.Decrypt(sealed, b.associated(connector, key))
	if err != nil {
		return "", fmt.Errorf("none of the keys opens the sealed value of %s: was it sealed with a key that this process lacks, or for another connector? Set it anew", key)
	}
	return string(value), nil
}

// associated ties a sealed value to its place; each part has its length in front, so that no two places have the same.
func (b *Box) associated(connector, key string) []byte {
	var out bytes.Buffer
	for _, part := range []string{"gantry/1", b.environment, connector, key} {
		fmt.Fprintf(&out, "%d:%s", len(part), part)
	}
	return out.Bytes()
}

// IsSealed reports whether a value holds a sealed part.
func IsSealed(value string) bool { return strings.Contains(value, "${"+sealedKind+":") }

// NewKeyset makes a keyset with one key, as text for the environment. It is a secret itself.
func NewKeyset() (string, error) {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return "", fmt.Errorf("make a key: %w", err)
	}
	return writeKeyset(handle)
}

// RotateKeyset adds a key that seals from now on; the others go on opening.
func RotateKeyset(text string) (string, error) {
	handle, err := readKeyset(text)
	if err != nil {
		return "", err
	}
	manager := keyset.NewManagerFromHandle(handle)
	id, err := manager.Add(aead.AES256GCMKeyTemplate())
	if err == nil {
		err = manager.SetPrimary(id)
	}
	if err == nil {
		handle, err = manager.Handle()
	}
	if err != nil {
		return "", fmt.Errorf("add a key: %w", err)
	}
	return writeKeyset(handle)
}

// TrimKeyset drops all keys but the one that seals: what the others have sealed opens no more.
func TrimKeyset(text string) (string, error) {
	handle, err := readKeyset(text)
	if err != nil {
		return "", err
	}
	manager := keyset.NewManagerFromHandle(handle)
	for _, key := range handle.KeysetInfo().GetKeyInfo() {
		if key.GetKeyId() == handle.KeysetInfo().GetPrimaryKeyId() {
			continue
		}
		if err := manager.Delete(key.GetKeyId()); err != nil {
			return "", fmt.Errorf("drop key %d: %w", key.GetKeyId(), err)
		}
	}
	if handle, err = manager.Handle(); err != nil {
		return "", fmt.Errorf("drop keys: %w", err)
	}
	return writeKeyset(handle)
}

func readKeyset(text string) (*keyset.Handle, error) {
	// Errors of the library may hold parts of what was read: they are not passed on.
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil {
		return nil, errors.New("read the keyset (secrets.keyset): it is not base64; gantry key create prints one")
	}
	handle, err := insecurecleartextkeyset.Read(keyset.NewBinaryReader(bytes.NewReader(raw)))
	if err != nil {
		return nil, errors.New("read the keyset (secrets.keyset): it is damaged; gantry key create prints one")
	}
	return handle, nil
}

func writeKeyset(handle *keyset.Handle) (string, error) {
	var raw bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewBinaryWriter(&raw)); err != nil {
		return "", fmt.Errorf("write the keyset: %w", err)
	}
	return base64.StdEncoding.EncodeToString(raw.Bytes()), nil
}
