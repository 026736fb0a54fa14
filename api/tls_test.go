package api_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/api"
)

// identity is a certificate of a test's own.
type identity struct {
	cert []byte // DER
	pair tls.Certificate
}

func newIdentity(t *testing.T, name string) identity {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, IsCA: true,
		BasicConstraintsValid: true, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	return identity{cert: cert, pair: tls.Certificate{Certificate: [][]byte{cert}, PrivateKey: key}}
}

func (i identity) write(t *testing.T, files api.TLSFiles) {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(i.pair.PrivateKey)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(files.Cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.cert}), 0o600))
	require.NoError(t, os.WriteFile(files.Key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600))
}

func (i identity) pool(t *testing.T) *x509.CertPool {
	t.Helper()
	cert, err := x509.ParseCertificate(i.cert)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return pool
}

func tlsFiles(t *testing.T) api.TLSFiles {
	t.Helper()
	dir := t.TempDir()
	return api.TLSFiles{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
}

// serveTLS answers "ok" on the address that it returns.
func serveTLS(t *testing.T, files api.TLSFiles) string {
	t.Helper()
	certificates, err := api.LoadCertificates(files, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := &http.Server{ReadHeaderTimeout: time.Minute, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })}
	ended := make(chan struct{})
	go func() { // ends with Close, which Cleanup waits for
		defer close(ended)
		_ = server.Serve(tls.NewListener(listener, certificates.TLS()))
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-ended
	})
	return listener.Addr().String()
}

func trusting(t *testing.T, roots *x509.CertPool, own ...tls.Certificate) *http.Client {
	t.Helper()
	transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: own}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func getTLS(c *http.Client, address string) error {
	res, err := c.Get("https://" + address)
	if err != nil {
		return err
	}
	defer res.Body.Close() //nolint:errcheck // only read
	if _, err = io.ReadAll(res.Body); err == nil && res.Proto != "HTTP/2.0" {
		err = fmt.Errorf("answered with %s", res.Proto)
	}
	return err
}

func TestANewCertificateIsServedWithoutDroppingConnections(t *testing.T) {
	t.Parallel()
	first, second := newIdentity(t, "first"), newIdentity(t, "second")
	files := tlsFiles(t)
	first.write(t, files)
	address := serveTLS(t, files)
	old := trusting(t, first.pool(t))
	require.NoError(t, getTLS(old, address))

	require.NoError(t, os.WriteFile(files.Cert, []byte("half-written"), 0o600))
	stop := time.Now().Add(1500 * time.Millisecond) // the server has looked at the files at least once by then
	for time.Now().Before(stop) {
		require.NoError(t, getTLS(trusting(t, first.pool(t)), address), "files that cannot be used change nothing")
	}
	second.write(t, files)
	require.Eventually(t, func() bool { return getTLS(trusting(t, second.pool(t)), address) == nil }, 20*time.Second, 10*time.Millisecond)
	require.NoError(t, getTLS(old, address), "the connection that was open still is")
	require.Error(t, getTLS(trusting(t, first.pool(t)), address))

	_, err := tls.Dial("tcp", address, &tls.Config{RootCAs: second.pool(t), MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
	require.Error(t, err, "TLS before 1.2")
}

func TestClientsMayHaveToShowACertificate(t *testing.T) {
	t.Parallel()
	server, friend, stranger := newIdentity(t, "server"), newIdentity(t, "friend"), newIdentity(t, "stranger")
	files := tlsFiles(t)
	server.write(t, files)
	ca := tlsFiles(t)
	friend.write(t, ca)
	files.ClientCA = ca.Cert
	address := serveTLS(t, files)
	require.NoError(t, getTLS(trusting(t, server.pool(t), friend.pair), address))
	require.Error(t, getTLS(trusting(t, server.pool(t), stranger.pair), address))
	require.Error(t, getTLS(trusting(t, server.pool(t)), address))
}

func TestCertificatesThatCannotBeLoadedAreNamed(t *testing.T) {
	t.Parallel()
	files := tlsFiles(t)
	_, err := api.LoadCertificates(files, slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, files.Cert)
	newIdentity(t, "server").write(t, files)
	require.NoError(t, os.WriteFile(files.Key, []byte("no key"), 0o600))
	_, err = api.LoadCertificates(files, slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, "api.tls.key")
	newIdentity(t, "server").write(t, files)
	files.ClientCA = files.Key
	_, err = api.LoadCertificates(files, slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, "api.tls.client-ca")
}
