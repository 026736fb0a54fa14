package devstack

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// javaOpens lets RocketMQ reach the JDK internals that it was written against, which Java 17 and later close.
var javaOpens = []string{
	"--add-exports=java.base/sun.nio.ch=ALL-UNNAMED", "--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED",
	"--add-opens=java.base/java.nio=ALL-UNNAMED", "--add-opens=java.base/java.util=ALL-UNNAMED",
	"--add-opens=java.base/jdk.internal.ref=ALL-UNNAMED",
}

func (s *Stack) nameServer() server {
	return server{
		prepare: func(context.Context) (command, error) {
			conf := fmt.Sprintf("listenPort=%d\nbindAddress=127.0.0.1\n", s.opts.Ports.NameServer)
			return s.java(NameServer, "org.apache.rocketmq.namesrv.NamesrvStartup", conf, "-Xms64m", "-Xmx128m")
		},
		ready: func(ctx context.Context) error {
			_, err := askRocketMQ(ctx, s.NameServer, requestClusterInfo)
			return err
		},
	}
}

func (s *Stack) broker() server {
	return server{
		prepare: func(context.Context) (command, error) {
			home := filepath.Join(s.Dir, "rocketmq", string(Broker))
			conf := fmt.Sprintf(brokerConf, s.NameServer, s.opts.Ports.Broker, filepath.Join(home, "store"))
			// The broker keeps messages in mapped files, outside the heap. The heap holds requests in flight and the
			// state of topics and queues: 1 GiB leaves room for a batch of 4 MiB on each of many connections; the
			// scripts that come with RocketMQ ask for 8 GiB, all of it touched at the start.
			return s.java(Broker, "org.apache.rocketmq.broker.BrokerStartup", conf, "-Xms512m", "-Xmx1g", "-XX:MaxDirectMemorySize=512m")
		},
		ready: s.brokerReady,
	}
}

// brokerReady asks both ends: the broker, because the name server lists a killed broker for a while, and the name server,
// because without its answer no client finds the broker.
func (s *Stack) brokerReady(ctx context.Context) error {
	if _, err := askRocketMQ(ctx, s.BrokerAddress, requestBrokerConfig); err != nil {
		return err
	}
	body, err := askRocketMQ(ctx, s.NameServer, requestClusterInfo)
	if err != nil {
		return err
	}
	if !strings.Contains(string(body), s.BrokerAddress) {
		return errors.New("the broker answers but has not registered at the name server")
	}
	return nil
}

// brokerConf is for one small machine: small files instead of gigabytes per log and megabytes per queue, no index by
// message key, batches of up to 1,024 messages and 4 MiB per pull, and topics only where somebody creates them. A name
// server that was restarted knows the broker again after the shortest period that RocketMQ allows, 10 s.
const brokerConf = `brokerClusterName=DefaultCluster
brokerName=broker-a
brokerId=0
namesrvAddr=%s
brokerIP1=127.0.0.1
brokerIP2=127.0.0.1
bindAddress=127.0.0.1
listenPort=%d
storePathRootDir=%[3]s
storePathCommitLog=%[3]s/commitlog
registerNameServerPeriod=10000
autoCreateTopicEnable=false
autoCreateSubscriptionGroup=true
enablePropertyFilter=true
flushDiskType=ASYNC_FLUSH
brokerRole=ASYNC_MASTER
mappedFileSizeCommitLog=134217728
mappedFileSizeConsumeQueue=600000
messageIndexEnable=false
timerWheelEnable=false
maxTransferCountOnMessageInMemory=1024
maxTransferBytesOnMessageInMemory=4194304
maxTransferCountOnMessageInDisk=1024
maxTransferBytesOnMessageInDisk=4194304
waitTimeMillsInSendQueue=2000
sendMessageThreadPoolNums=4
diskMaxUsedSpaceRatio=95
deleteWhen=04
fileReservedTime=48
`

// logbackXML sends warnings to the process's output, instead of everything to dozens of files. The POP service, which needs
// the timer that brokerConf switches off, would repeat that every second.
const logbackXML = `<configuration>
  <appender name="output" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d{yyyy-MM-dd HH:mm:ss.SSS,UTC} %p %c %t - %m%n</pattern></encoder>
  </appender>
  <logger name="RocketmqPop" level="ERROR"/>
  <root level="WARN"><appender-ref ref="output"/></root>
</configuration>
`

// java describes a RocketMQ process whose home, store and logs all lie in the stack's folder.
func (s *Stack) java(p Part, class, conf string, heap ...string) (command, error) {
	home := filepath.Join(s.Dir, "rocketmq", string(p))
	if err := os.MkdirAll(home, 0o755); err != nil {
		return command{}, fmt.Errorf("create its folder: %w", err)
	}
	confPath := filepath.Join(home, "server.conf")
	if err := os.WriteFile(confPath, []byte(conf), 0o644); err != nil {
		return command{}, fmt.Errorf("write its configuration: %w", err)
	}
	logging := filepath.Join(home, "logback.xml")
	if err := os.WriteFile(logging, []byte(logbackXML), 0o644); err != nil {
		return command{}, fmt.Errorf("write its configuration: %w", err)
	}
	java, err := findJava()
	if err != nil {
		return command{}, err
	}
	servers, err := serversDir(s.opts.Root)
	if err != nil {
		return command{}, err
	}
	args := append(heap, javaOpens...)
	args = append(args, "-Drocketmq.home.dir="+home, "-Duser.home="+home, "-Djava.io.tmpdir="+os.TempDir(),
		"-Djava.net.preferIPv4Stack=true", "-Drmq.logback.configurationFile="+logging,
		"-cp", filepath.Join(servers, "rocketmq", "*"), class, "-c", confPath)
	return command{path: java, args: args, env: plainEnv(home), dir: home, log: logPath(s.Dir, p), stop: stopSignal(p)}, nil
}

// findJava prefers JAVA_HOME, as Maven does.
func findJava() (string, error) {
	if home := os.Getenv("JAVA_HOME"); home != "" {
		if java := filepath.Join(home, "bin", "java"); isFile(java) {
			return java, nil
		}
	}
	java, err := exec.LookPath("java")
	if err != nil {
		return "", fmt.Errorf("no java in JAVA_HOME or PATH; %s", remedyJava)
	}
	return java, nil
}

// Requests of RocketMQ's remoting protocol (RequestCode.java).
const (
	requestBrokerConfig = 26
	requestClusterInfo  = 106
)

// askRocketMQ sends one request without a body over a connection of its own and returns the body of the answer. A frame
// is its length, a header length whose top byte names the codec (0 is JSON), a JSON header, and the body.
func askRocketMQ(ctx context.Context, address string, code int) ([]byte, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(5 * time.Second)
	}
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, err
	}
	header := fmt.Sprintf(`{"code":%d,"language":"GO","version":401,"opaque":1,"flag":0}`, code)
	frame := binary.BigEndian.AppendUint32(nil, uint32(4+len(header)))
	frame = binary.BigEndian.AppendUint32(frame, uint32(len(header)))
	if _, err := conn.Write(append(frame, header...)); err != nil {
		return nil, fmt.Errorf("ask %s: %w", address, err)
	}
	var lengths [8]byte
	if _, err := io.ReadFull(conn, lengths[:]); err != nil {
		return nil, fmt.Errorf("ask %s: %w", address, err)
	}
	total, headerLen := binary.BigEndian.Uint32(lengths[:4]), binary.BigEndian.Uint32(lengths[4:])&0xffffff
	if total > 16<<20 || total < 4+headerLen {
		return nil, fmt.Errorf("ask %s: the answer is no RocketMQ frame", address)
	}
	answer := make([]byte, total-4)
	if _, err := io.ReadFull(conn, answer); err != nil {
		return nil, fmt.Errorf("ask %s: %w", address, err)
	}
	return answer[headerLen:], nil
}
