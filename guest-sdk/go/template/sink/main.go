// A sink that posts each batch to a URL: one line per event.
//
// A place to begin: what the body looks like, and which answers mean what. The identifier of the delivery is sent
// as the idempotency key: when a batch comes again after a failure, the other side can tell that it has it already.
package main

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"

	"millrace/plugin"
	"millrace/plugin/http"
	"millrace/plugin/sink"
)

// Config has the options, as they stand in the configuration of the agent.
type Config struct {
	// URL is where batches are posted to. Its origin must be granted.
	URL string `json:"url" plugin:"required"`
	// Secret is the name of a granted secret that the agent adds; empty for none.
	Secret string `json:"secret"`
}

// MyPlugin posts.
type MyPlugin struct{ config Config }

func configure(config Config, _ plugin.Instance) (*MyPlugin, error) {
	if !strings.HasPrefix(config.URL, "http://") && !strings.HasPrefix(config.URL, "https://") {
		return nil, plugin.Issue{Path: "/url", Reason: "expected a URL that begins with http:// or https://"}
	}
	return &MyPlugin{config}, nil
}

// Deliver posts one batch.
func (p *MyPlugin) Deliver(batch *plugin.Batch, delivery sink.Delivery, _ *sink.Refused) error {
	var body bytes.Buffer
	body.Grow(int(batch.BodyBytes()) + batch.Len())
	for _, line := range batch.Bodies().All() {
		body.Write(line)
		body.WriteByte('\n')
	}
	response, err := http.Send(&http.Request{
		Method: "POST",
		URL:    p.config.URL,
		Headers: []http.Header{
			{Name: "content-type", Value: []byte("text/plain")},
			{Name: "idempotency-key", Value: []byte(delivery.ID)},
		},
		Body: body.Bytes(),
		Auth: p.config.Secret,
	})
	if err != nil {
		// The error says by itself whether another attempt makes sense.
		return err
	}
	return judge(response)
}

// Says what an answer means for the batch.
func judge(response *http.Response) error {
	switch status := response.Status; {
	case status >= 200 && status < 300:
		return nil
	case status == 408 || status == 429 || status >= 500:
		seconds, _ := response.Header("retry-after")
		pause, _ := strconv.Atoi(seconds)
		return plugin.Retry(time.Duration(pause) * time.Second)
	default:
		return plugin.Reject(fmt.Sprintf("the server answered %d", status))
	}
}

func init() { sink.Export(configure) }

func main() {}
