package rocketmqtest

import "go.uber.org/goleak"

// IgnoreLibrary returns goleak options for what the RocketMQ client library leaves behind when it is shut down: timers that look
// only every ten seconds, and readers that notice the end of their connection later, whether anyone waits for them.
func IgnoreLibrary() []goleak.Option {
	const internal = "github.com/apache/rocketmq-client-go/v2/internal."
	var options []goleak.Option
	for _, f := range []string{"1", "2", "3", "4", "5"} {
		options = append(options, goleak.IgnoreAnyFunction(internal+"(*rmqClient).Start.func1."+f))
	}
	return append(options,
		goleak.IgnoreAnyFunction(internal[:len(internal)-1]+"/remote.(*remotingClient).receiveResponse"),
		goleak.IgnoreAnyFunction("github.com/patrickmn/go-cache.(*janitor).Run"), // started when the library is loaded
	)
}
