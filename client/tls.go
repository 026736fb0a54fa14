package client

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
)

// TLSFiles name what TLS needs; all are optional.
type TLSFiles struct {
	CA        string // PEM with the authorities to trust instead of the system's
	Cert, Key string // PEM, for servers that ask for a client certificate; both or none
	Server    string // the name that the server's certificate must carry, if not the URL's host
	// SkipVerify trusts any certificate: whoever sits on the way can read and change everything.
	SkipVerify bool
}

// Config reads the files. It is nil if nothing is named.
func (f TLSFiles) Config() (*tls.Config, error) {
	if f == (TLSFiles{}) {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: f.Server, InsecureSkipVerify: f.SkipVerify} //nolint:gosec // asked for in words
	if f.CA != "" {
		pem, err := os.ReadFile(f.CA)
		if err != nil {
			return nil, fmt.Errorf("read the certificate authority: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("certificate authority %s: no certificate in PEM form found", f.CA)
		}
	}
	if (f.Cert == "") != (f.Key == "") {
		return nil, errors.New("a client certificate needs both its certificate and its key file")
	}
	if f.Cert != "" {
		pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
		if err != nil {
			return nil, fmt.Errorf("load the client certificate %s: %w", f.Cert, err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}
