// The tests' Prometheus: reads a file of alerts as Prometheus does, and says which would fire.
//
//	alerts RULES MINUTES < SAMPLES
//
// SAMPLES is a "load" command of Prometheus' own test language. The names of the alerts whose
// condition holds at that minute are written, a line each; whether it held long enough is not asked.
package main

import (
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: alerts RULES MINUTES < SAMPLES")
	}
	minutes, err := strconv.Atoi(os.Args[2])
	check(err)
	files, faults := rulefmt.ParseFile(
		os.Args[1], false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.Default())
	for _, fault := range faults {
		log.Print(fault)
	}
	if len(faults) > 0 {
		os.Exit(1)
	}
	samples, err := io.ReadAll(os.Stdin)
	check(err)
	loader, err := promqltest.NewLazyLoader(string(samples), promqltest.LazyLoaderOpts{})
	check(err)
	defer loader.Close()
	at := time.Unix(int64(minutes)*60, 0)
	loader.WithSamplesTill(at, check)
	for _, group := range files.Groups {
		for _, rule := range group.Rules {
			query, err := loader.QueryEngine().NewInstantQuery(
				loader.Context(), loader.Queryable(), nil, rule.Expr, at)
			check(err)
			result := query.Exec(loader.Context())
			check(result.Err)
			found, err := result.Vector()
			check(err)
			if len(found) > 0 {
				fmt.Println(rule.Alert)
			}
			query.Close()
		}
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
