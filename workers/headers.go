package workers

import (
	"context"
	"net/url"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// resourceHeader is where Temporal's SDK puts the id of the workflow that a call concerns, as a hint for routing.
const resourceHeader = "temporal-resource-id"

// PlainHeaders is for connections to Temporal. A workflow's id holds its connector's name in any letters, and gRPC fails a call
// whose headers are not printable ASCII; so what is not is percent-encoded there. The call itself carries the id as it is.
func PlainHeaders() grpc.DialOption { return grpc.WithChainUnaryInterceptor(plainHeaders) }

func plainHeaders(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if headers, ok := metadata.FromOutgoingContext(ctx); ok {
		for i, value := range headers[resourceHeader] {
			if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
				headers[resourceHeader][i] = url.PathEscape(value)
				ctx = metadata.NewOutgoingContext(ctx, headers)
			}
		}
	}
	return invoke(ctx, method, req, reply, cc, opts...)
}
