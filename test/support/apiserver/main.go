// A client of etcd that speaks as kube-apiserver does: a cache filled by a list and a watch, writes by transactions,
// events with a lease, and the compactor. It keeps account of what was acknowledged to it and of what its watch
// showed, and says each second, as a line of JSON, what is wrong; SIGTERM has it settle its account and end.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path"
	"strings"
	"sync"
	"syscall"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

const registry = "/registry"

func main() {
	file := flag.String("flags", "", "the file of kube-apiserver's flags")
	name := flag.String("name", "apiserver", "what its keys are called")
	interval := flag.Duration("compaction", 10*time.Second, "as --etcd-compaction-interval")
	most := flag.Int("max-seconds", 1800, "it ends by itself after as many")
	flag.Parse()
	if err := run(*file, *name, *interval, time.Duration(*most)*time.Second); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(file, name string, interval, most time.Duration) error {
	flags, err := read(file)
	if err != nil {
		return err
	}
	client, tls, err := connect(flags)
	if err != nil {
		return err
	}
	defer client.Close()
	limited, end := context.WithTimeout(context.Background(), most)
	defer end()
	told, stop := signal.NotifyContext(limited, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	account := newAccount()
	watching, endWatches := context.WithCancel(context.Background())
	defer endWatches()
	caches := []*cache{newCache(client, account, "/pods/"), newCache(client, account, "/events/")}
	for _, one := range caches {
		go one.follow(watching)
	}
	var working sync.WaitGroup
	for _, work := range works(client, account, fmt.Sprintf("%s-%d", name, time.Now().UnixMilli())) {
		working.Go(func() { work(told) })
	}
	compactor := &compactor{client: client, account: account}
	working.Go(func() { every(told, interval, func() { compactor.round(told) }) })
	working.Go(func() { every(told, 2*time.Second, func() { probe(told, client, tls, account) }) })
	every(told, time.Second, func() { say(account.state(false)) })
	working.Wait()
	settle(caches)
	say(account.state(true))
	return nil
}

func works(client *clientv3.Client, account *account, name string) []func(context.Context) {
	events := &events{client: client, account: account, prefix: fmt.Sprintf("%s/events/%s", registry, name)}
	all := []func(context.Context){events.write}
	for worker := range 3 {
		pods := &pods{client: client, account: account, prefix: fmt.Sprintf("%s/pods/%s/%d", registry, name, worker)}
		all = append(all, pods.write)
	}
	return all
}

// As newETCD3Client of k8s.io/apiserver (pkg/storage/storagebackend/factory/etcd3.go).
func connect(flags map[string]string) (*clientv3.Client, *tls.Config, error) {
	info := transport.TLSInfo{
		CertFile:      flags["etcd-certfile"],
		KeyFile:       flags["etcd-keyfile"],
		TrustedCAFile: flags["etcd-cafile"],
	}
	config, err := info.ClientConfig()
	if err != nil {
		return nil, nil, err
	}
	client, err := clientv3.New(clientv3.Config{
		DialTimeout:          20 * time.Second,
		DialKeepAliveTime:    30 * time.Second,
		DialKeepAliveTimeout: 10 * time.Second,
		Endpoints:            strings.Split(flags["etcd-servers"], ","),
		TLS:                  config,
		Logger:               zap.NewNop(), // what it would say is in the account
	})
	return client, config, err
}

func read(file string) (map[string]string, error) {
	opened, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	flags := map[string]string{}
	for lines := bufio.NewScanner(opened); lines.Scan(); {
		name, value, _ := strings.Cut(strings.TrimPrefix(lines.Text(), "--"), "=")
		flags[name] = value
	}
	return flags, nil
}

// The key that it reads for /livez and /readyz, and what it asks each member for its version and its size.
func probe(ctx context.Context, client *clientv3.Client, config *tls.Config, account *account) {
	limited, end := context.WithTimeout(ctx, 5*time.Second)
	defer end()
	if _, err := client.Get(limited, path.Join(registry, "health")); err != nil {
		account.failed("health", err)
		account.refused(handshake(client.Endpoints(), config))
	}
	for _, endpoint := range client.Endpoints() {
		if _, err := client.Status(limited, endpoint); err != nil {
			account.failed("status", err)
		}
	}
}

func every(ctx context.Context, pause time.Duration, do func()) {
	for tick := time.NewTicker(pause); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
			do()
		}
	}
}

func rest(ctx context.Context, length time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(length):
	}
}

func say(value any) {
	line, _ := json.Marshal(value)
	fmt.Println(string(line))
}
