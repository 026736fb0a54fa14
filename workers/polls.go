package workers

import (
	"context"
	"strings"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
)

// shortPoll is how long the server keeps a poll for tasks open. A frozen or cut-off worker's poll is older than those of
// others, so it gets the next task, which nobody then starts; it has to be over before the frozen worker's own tasks time out
// (3 s). The server answers a second before the deadline, and takes no deadline below 2 s.
const shortPoll = 3 * time.Second

// ShortPolls is for the connection to Temporal that a worker uses: its polls of task queues whose names begin with prefix
// (workflows.TaskTaskQueue) are short, so that a frozen worker costs no more than a dead one. Temporal's server logs a warning
// for polls below 10 s; a worker that has its share of tasks does not poll.
func ShortPolls(prefix string) grpc.DialOption {
	return grpc.WithChainUnaryInterceptor(shorten(prefix))
}

func shorten(prefix string) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		if poll, ok := req.(*workflowservice.PollActivityTaskQueueRequest); ok && strings.HasPrefix(poll.GetTaskQueue().GetName(), prefix) {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, shortPoll)
			defer cancel()
		}
		return invoke(ctx, method, req, reply, cc, opts...)
	}
}
