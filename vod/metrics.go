package vod

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	requests *prometheus.CounterVec
	failures prometheus.Counter
	pictures prometheus.Counter
	uploaded prometheus.Counter
	ingested prometheus.Counter
	sounds   prometheus.Counter
	limited  prometheus.Counter
}

func newMetrics(to prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_vod_requests_total", Help: "Requests to the catalogue.",
		}, []string{"endpoint", "status"}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sluice_vod_job_failures_total", Help: "Jobs on assets that failed and are tried again.",
		}),
		pictures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sluice_vod_live_pictures_total", Help: "Pictures made of live streams.",
		}),
		uploaded: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sluice_vod_uploaded_bytes_total", Help: "Bytes of uploaded parts that were kept.",
		}),
		ingested: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sluice_vod_ingested_seconds_total", Help: "Media time of uploads that became assets.",
		}),
		limited: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sluice_vod_limited_total", Help: "Requests that were refused because their address asked too often.",
		}),
		sounds: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sluice_vod_aac_pieces_total", Help: "Pieces of AAC that were made of assets whose sound is Opus.",
		}),
	}
	if to != nil {
		to.MustRegister(m.requests, m.failures, m.pictures, m.uploaded, m.ingested, m.sounds, m.limited)
	}
	return m
}
