package workers_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/gantry-connect/gantry/rocketmq/rocketmqtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, rocketmqtest.IgnoreLibrary()...) }
