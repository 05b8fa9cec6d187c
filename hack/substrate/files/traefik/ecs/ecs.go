// Package ecs stands in for Traefik's provider of that name: there are no Amazon containers here.
package ecs

import (
	"errors"

	"github.com/traefik/traefik/v3/pkg/config/dynamic"
	"github.com/traefik/traefik/v3/pkg/safe"
)

// Provider has no settings.
type Provider struct{}

// Init refuses.
func (*Provider) Init() error {
	return errors.New("this build has no provider for Amazon ECS")
}

// Provide is never asked.
func (*Provider) Provide(chan<- dynamic.Message, *safe.Pool) error {
	return errors.New("this build has no provider for Amazon ECS")
}
