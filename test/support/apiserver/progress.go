package main

import (
	"context"
	"time"

	"github.com/coreos/go-semver/semver"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Whether it may ask how far a watch has come. An older etcd names revisions whose events are yet to come
// (etcd-io/etcd#15220, #17507); kube-apiserver does not ask it either (k8s.io/apiserver, pkg/storage/feature).
func mayAskProgress(ctx context.Context, client *clientv3.Client) bool {
	may := false
	for _, endpoint := range client.Endpoints() {
		version, err := versionAt(ctx, client, endpoint)
		if err == nil && isOlder(version) {
			return false
		}
		may = may || err == nil
	}
	return may
}

func versionAt(ctx context.Context, client *clientv3.Client, endpoint string) (*semver.Version, error) {
	limited, end := context.WithTimeout(ctx, 2*time.Second)
	defer end()
	status, err := client.Status(limited, endpoint)
	if err != nil {
		return nil, err
	}
	return semver.NewVersion(status.Version)
}

func isOlder(version *semver.Version) bool {
	mended, next, mendedThere := semver.New("3.4.31"), semver.New("3.5.0"), semver.New("3.5.13")
	return version.LessThan(*mended) || (!version.LessThan(*next) && version.LessThan(*mendedThere))
}
