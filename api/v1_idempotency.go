package api

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gantry-connect/gantry/control"
)

// Answers is what requests with an Idempotency-Key need.
type Answers interface {
	TakeAnswer(ctx context.Context, key, fingerprint string) (a control.Answer, answered bool, err error)
	KeepAnswer(ctx context.Context, key string, a control.Answer) error
	DropAnswer(ctx context.Context, key string) error
}

const (
	keyHeader   = "Idempotency-Key"
	maxKeyBytes = 255
	// statusClientGone is answered to a client that broke off; the number is nginx's.
	statusClientGone = 499
	// keepWithin bounds the keeping of an answer that the client has got already.
	keepWithin = 5 * time.Second
)

// keptHeaders are the headers that belong to a kept answer.
var keptHeaders = []string{"Content-Type", "Location", "ETag"}

// describeKey documents the key on an operation.
func describeKey(op *huma.Operation) {
	op.Parameters = append(op.Parameters, &huma.Param{Name: keyHeader, In: "header", Example: "5f0c6d3e-1b7e-4b8e-9c1a-2d7d0a4a8f11",
		Description: "Makes the request safe to repeat: for 24 hours the same request with the same key gets the first one's answer, and is not carried out again. Choose a random one for each request.",
		Schema:      &huma.Schema{Type: huma.TypeString, MaxLength: ptr(maxKeyBytes)}})
	op.Errors = append(op.Errors, http.StatusBadRequest, http.StatusConflict)
}

func ptr[T any](v T) *T { return &v }

// once carries a request out unless it has been carried out before, by its Idempotency-Key.
func (h *handlers) once(hctx huma.Context, next func(huma.Context)) {
	key := hctx.Header(keyHeader)
	if key == "" {
		next(hctx)
		return
	}
	body, err := io.ReadAll(io.LimitReader(hctx.BodyReader(), maxBodyBytes+1))
	switch {
	case len(key) > maxKeyBytes:
		h.refuse(hctx, newProblem(http.StatusBadRequest, codeInvalidRequest, fmt.Sprintf("%s has %d bytes: at most %d are possible", keyHeader, len(key), maxKeyBytes)))
		return
	case len(body) > maxBodyBytes, isTooLarge(err):
		h.refuse(hctx, newProblem(http.StatusRequestEntityTooLarge, codeTooLarge, fmt.Sprintf("The body has more than %d bytes", maxBodyBytes)))
		return
	case err != nil:
		h.refuse(hctx, newProblem(http.StatusBadRequest, codeInvalidRequest, "The body cannot be read: "+err.Error()))
		return
	}
	u := hctx.URL()
	// The sender counts: nobody gets an answer that was meant for somebody else.
	fingerprint := fingerprintOf(key, by(hctx.Context())+"\n"+hctx.Method()+" "+u.RequestURI()+"\n"+string(body))
	key = keptUnder(key)
	kept, answered, err := h.service.TakeAnswer(hctx.Context(), key, fingerprint)
	switch {
	case err != nil:
		h.refuse(hctx, problemV1(hctx.Context(), err, h.log))
	case !answered:
		h.carryOut(hctx, next, key, fingerprint, body)
	case kept.Fingerprint != fingerprint:
		p := newProblem(http.StatusUnprocessableEntity, codeKeyReused, "The "+keyHeader+" was used for another request.")
		p.Remedy = "Choose a new key for each request."
		h.refuse(hctx, p)
	case kept.Status == 0:
		p := newProblem(http.StatusConflict, codeKeyBusy, "The request with this "+keyHeader+" is still being carried out.")
		p.Remedy = "Repeat it in a moment to get its answer."
		h.refuse(hctx, p)
	default:
		h.repeat(hctx, kept)
	}
}

// fingerprintOf tells requests apart that were made with one key. A body may hold a password, and fingerprints are kept: without
// the key, which nobody keeps, no password can be tried against one.
func fingerprintOf(key, request string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(request)) // never fails
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// keptUnder is what stands for a key where answers are kept. It is not the plain hash of the key: of a long key, HMAC uses that.
func keptUnder(key string) string {
	sum := sha256.Sum256([]byte("answer kept under\n" + key))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func isTooLarge(err error) bool {
	var large *http.MaxBytesError
	return errors.As(err, &large)
}

// carryOut lets the operation run and keeps what it answers, unless that is a failure of the server's.
func (h *handlers) carryOut(hctx huma.Context, next func(huma.Context), key, fingerprint string, body []byte) {
	r := &recorder{operationContext: bodyRead{hctx}, in: bytes.NewReader(body), header: map[string]string{}}
	next(r)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(hctx.Context()), keepWithin)
	defer cancel()
	var err error
	// A client that broke off has got no answer, and repeats the request for one: it is carried out again, as after a failure.
	if status := r.Status(); status >= http.StatusInternalServerError || status == statusClientGone || status == 0 {
		err = h.service.DropAnswer(ctx, key)
	} else {
		err = h.service.KeepAnswer(ctx, key, control.Answer{Fingerprint: fingerprint, Status: status, Header: r.header, Body: r.out.Bytes()})
	}
	if err != nil {
		h.log.Warn("the answer to a request with an Idempotency-Key was not kept", "operation", hctx.Operation().OperationID, "error", err)
	}
}

// repeat sends a kept answer.
func (h *handlers) repeat(hctx huma.Context, kept control.Answer) {
	for name, value := range kept.Header {
		hctx.SetHeader(name, value)
	}
	hctx.SetHeader("Idempotency-Replayed", "true")
	hctx.SetStatus(kept.Status)
	if _, err := hctx.BodyWriter().Write(kept.Body); err != nil {
		h.log.Debug("answer not written", "operation", hctx.Operation().OperationID, "error", err)
	}
}

// refuse answers with a problem before the operation runs.
func (h *handlers) refuse(hctx huma.Context, err error) {
	var p *Problem
	if !errors.As(err, &p) {
		p = newProblem(http.StatusInternalServerError, codeInternal, "Internal error; see the server's log.")
	}
	p.Instance = hctx.URL().Path
	h.writeProblem(hctx, p)
}

// operationContext is embedded under a name that leaves the method Context in reach.
type operationContext = huma.Context

// recorder keeps a copy of what an operation answers, and gives it the request's body that was read already.
type recorder struct {
	operationContext
	in     io.Reader
	out    bytes.Buffer
	header map[string]string
}

// BodyReader implements huma.Context.
func (r *recorder) BodyReader() io.Reader { return r.in }

// SetHeader implements huma.Context.
func (r *recorder) SetHeader(name, value string) {
	for _, kept := range keptHeaders {
		if http.CanonicalHeaderKey(name) == http.CanonicalHeaderKey(kept) {
			r.header[kept] = value
		}
	}
	r.operationContext.SetHeader(name, value)
}

// BodyWriter implements huma.Context.
func (r *recorder) BodyWriter() io.Writer {
	return io.MultiWriter(r.operationContext.BodyWriter(), &r.out)
}
