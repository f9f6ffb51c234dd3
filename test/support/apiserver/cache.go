package main

import (
	"context"
	"errors"
	"maps"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// The keys below one prefix, each with the revision of its last change, as a watch cache has them.
type cache struct {
	client   *clientv3.Client
	account  *account
	prefix   string
	keys     map[string]int64
	revision int64
	ask      chan chan map[string]int64
}

func newCache(client *clientv3.Client, account *account, prefix string) *cache {
	return &cache{client: client, account: account, prefix: registry + prefix, ask: make(chan chan map[string]int64)}
}

// Lists, and watches from there; again from the last revision, or after ErrCompacted by another list.
func (c *cache) follow(ctx context.Context) {
	for ctx.Err() == nil {
		if c.keys == nil && !c.list(ctx) {
			rest(ctx, 200*time.Millisecond)
			continue
		}
		err := c.watch(ctx)
		if err != nil {
			c.account.failed("watch", err)
		}
		if errors.Is(err, rpctypes.ErrCompacted) {
			c.relist(ctx)
		} else {
			rest(ctx, 200*time.Millisecond)
		}
	}
}

func (c *cache) relist(ctx context.Context) {
	before := c.keys
	c.account.count(func(s *State) { s.Relists++ })
	for !c.list(ctx) && ctx.Err() == nil {
		rest(ctx, 200*time.Millisecond)
	}
	c.account.count(func(s *State) {
		for key := range before {
			if _, there := c.keys[key]; !there {
				s.Ghosts++
			}
		}
	})
}

// The first page is at the newest revision, and the others are at that of the first.
func (c *cache) list(ctx context.Context) bool {
	keys, revision, err := listed(ctx, c.client, c.prefix)
	if err != nil {
		c.account.failed("list", err)
		return false
	}
	c.keys, c.revision = keys, revision
	c.account.count(func(s *State) { s.Lists++ })
	c.account.listedAt(c.prefix, revision)
	return true
}

func listed(ctx context.Context, client *clientv3.Client, prefix string) (map[string]int64, int64, error) {
	limited, end := context.WithTimeout(ctx, 30*time.Second)
	defer end()
	keys, revision, from := map[string]int64{}, int64(0), prefix
	for {
		options := []clientv3.OpOption{clientv3.WithRange(clientv3.GetPrefixRangeEnd(prefix)), clientv3.WithLimit(500)}
		page, err := client.Get(limited, from, append(options, clientv3.WithRev(revision))...)
		if err != nil {
			return nil, 0, err
		}
		if revision == 0 {
			revision = page.Header.Revision
		}
		for _, pair := range page.Kvs {
			keys[string(pair.Key)] = pair.ModRevision
			from = string(pair.Key) + "\x00"
		}
		if !page.More {
			return keys, revision, nil
		}
	}
}

// Returns why it ended.
func (c *cache) watch(ctx context.Context) error {
	c.account.count(func(s *State) { s.Watches++ })
	led, end := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer end()
	options := []clientv3.OpOption{
		clientv3.WithRev(c.revision + 1), clientv3.WithPrefix(), clientv3.WithPrevKV(), clientv3.WithProgressNotify(),
	}
	asks := mayAskProgress(ctx, c.client)
	answers := c.client.Watch(led, c.prefix, options...)
	progress := time.NewTicker(time.Second)
	defer progress.Stop()
	for {
		select {
		case answer, open := <-answers:
			if !open {
				return nil
			}
			if err := answer.Err(); err != nil {
				return err
			}
			c.take(answer)
		case <-progress.C:
			if asks {
				go c.client.RequestProgress(led) //nolint:errcheck // the next one is a second away
			}
		case asked := <-c.ask:
			asked <- maps.Clone(c.keys)
		}
	}
}

func (c *cache) take(answer clientv3.WatchResponse) {
	if answer.IsProgressNotify() {
		c.account.count(func(s *State) { s.Progress++ })
		c.revision = max(c.revision, answer.Header.Revision)
	}
	least := c.revision + 1
	for _, event := range answer.Events {
		c.account.saw(string(event.Kv.Key), event.Kv.ModRevision, least)
		least = max(least, event.Kv.ModRevision)
		if event.Type == mvccpb.DELETE {
			delete(c.keys, string(event.Kv.Key))
		} else {
			c.keys[string(event.Kv.Key)] = event.Kv.ModRevision
		}
	}
	if len(answer.Events) > 0 {
		c.revision = least
	}
	c.account.reachedTo(c.prefix, c.revision)
}

// In how many keys it differs from a list of now; -1 where it does not watch, or nobody can be asked.
func (c *cache) differences() int {
	limited, end := context.WithTimeout(context.Background(), 5*time.Second)
	defer end()
	there, _, err := listed(limited, c.client, c.prefix)
	asked := make(chan map[string]int64, 1)
	select {
	case c.ask <- asked:
	case <-limited.Done():
		return -1
	}
	mine := <-asked
	if err != nil {
		return -1
	}
	different := 0
	for key, revision := range there {
		if mine[key] != revision {
			different++
		}
		delete(mine, key)
	}
	return different + len(mine)
}

// When nothing is written any more each cache comes to hold what a list shows; leases may still end.
func settle(caches []*cache) {
	until := time.Now().Add(20 * time.Second)
	for _, one := range caches {
		different := one.differences()
		for different != 0 && time.Now().Before(until) {
			time.Sleep(500 * time.Millisecond)
			different = one.differences()
		}
		one.account.count(func(s *State) { s.Unequal += max(different, -different) })
	}
}
