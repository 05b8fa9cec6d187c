// Upstream's HorizontalPodAutoscaler controller, unmodified, fed by JSON and run in virtual time.
//
// One case a line comes in: an HPA's spec, the size it starts from, and what the controller finds at each of its
// syncs. One line goes out: the size and the HPA's status after each. Everything the controller talks to (pods, metrics,
// the scale subresource, its own status) is a fake of its exported interfaces; what decides is NewHorizontalController,
// as kube-controller-manager makes it. Its clock is testing/synctest's: a bubble that begins at 2000-01-01T00:00:00Z and
// leaps on as soon as all of its goroutines wait, so that an hour of syncs takes milliseconds and each is due to the second.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	typedautoscaling "k8s.io/client-go/kubernetes/typed/autoscaling/v2"
	typedcore "k8s.io/client-go/kubernetes/typed/core/v1"
	autoscalinglisters "k8s.io/client-go/listers/autoscaling/v2"
	corelisters "k8s.io/client-go/listers/core/v1"
	scaleclient "k8s.io/client-go/scale"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	defaults "k8s.io/kubernetes/pkg/apis/autoscaling/v2"
	"k8s.io/kubernetes/pkg/controller/podautoscaler"
	"k8s.io/kubernetes/pkg/controller/podautoscaler/metrics"
)

const (
	namespace = "default"
	name      = "shop"
	selector  = "app=shop"
)

// Case is what one autoscaler lives through.
type Case struct {
	PeriodSeconds int                                       `json:"periodSeconds"`
	Replicas      int32                                     `json:"replicas"`
	Spec          autoscalingv2.HorizontalPodAutoscalerSpec `json:"spec"`
	Steps         []Step                                    `json:"steps"`
}

// Step is what one sync finds. Replicas, where set, is what somebody else has scaled to before it.
type Step struct {
	Replicas       *int32             `json:"replicas"`
	StatusReplicas *int32             `json:"statusReplicas"`
	Pods           []*corev1.Pod      `json:"pods"`
	Readings       map[string]Reading `json:"readings"`
}

// Reading is what a metrics API says of one metric, in thousandths.
type Reading struct {
	Error  string            `json:"error"`
	Pods   map[string]Sample `json:"pods"`
	Values []int64           `json:"values"`
}

// Sample is one pod's.
type Sample struct {
	Value         int64       `json:"value"`
	At            metav1.Time `json:"at"`
	WindowSeconds int         `json:"windowSeconds"`
}

// Answer is what was so after each sync.
type Answer struct {
	Steps []After `json:"steps"`
	Error string  `json:"error,omitempty"`
}

// After is what was so after one.
type After struct {
	Replicas int32                                       `json:"replicas"`
	Status   autoscalingv2.HorizontalPodAutoscalerStatus `json:"status"`
}

func main() {
	klog.SetLogger(klog.Logger{}) // what goes wrong in a case stands in its answer
	// They would sleep between two errors, by a time of day that every case begins anew.
	utilruntime.ErrorHandlers = nil
	if err := utilfeature.DefaultMutableFeatureGate.Set("HPAScaleToZero=true"); err != nil {
		panic(err)
	}
	// synctest wants a test around it, and a program may be one.
	everything := func(string, string) (bool, error) { return true, nil }
	testing.Main(everything, []testing.InternalTest{{Name: "Cases", F: answerAll}}, nil, nil)
}

func answerAll(t *testing.T) {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(make([]byte, 1<<20), 1<<28)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for in.Scan() {
		var asked Case
		var told Answer
		if err := json.Unmarshal(in.Bytes(), &asked); err != nil {
			told.Error = err.Error()
		} else {
			synctest.Test(t, func(*testing.T) { told.Steps = play(&asked) })
		}
		if err := json.NewEncoder(out).Encode(told); err != nil {
			t.Fatal(err)
		}
		if err := out.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := in.Err(); err != nil {
		t.Fatal(err)
	}
}

// play runs a controller of its own over the steps. The n-th sync, from 1, is at n periods; what it is to find is laid out
// half a period before, and what it did is read half a period after, so that neither meets it.
func play(asked *Case) []After {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	w := newWorld(asked)
	period := time.Duration(asked.PeriodSeconds) * time.Second
	controller := podautoscaler.NewHorizontalController(
		ctx, w, w, hpas{w: w}, mapper{}, w, hpaInformer{w}, podInformer{w},
		period, 5*time.Minute, 0.1, 5*time.Minute, 30*time.Second, // as kube-controller-manager has them
	)
	var running sync.WaitGroup
	running.Go(func() { controller.Run(ctx, 1) })
	w.added(w.hpa())
	time.Sleep(period / 2)
	after := make([]After, 0, len(asked.Steps))
	for i := range asked.Steps {
		w.lay(&asked.Steps[i])
		time.Sleep(period)
		after = append(after, w.after())
	}
	cancel()
	running.Wait()
	return after
}

// world is everything the controller talks to.
type world struct {
	mu       sync.Mutex
	step     *Step
	replicas int32
	hpaStore cache.Indexer
	podStore cache.Indexer
	handlers cache.ResourceEventHandler
}

func newWorld(asked *Case) *world {
	indexers := func() cache.Indexers { return cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc} }
	w := &world{
		step:     &Step{},
		replicas: asked.Replicas,
		hpaStore: cache.NewIndexer(cache.MetaNamespaceKeyFunc, indexers()),
		podStore: cache.NewIndexer(cache.MetaNamespaceKeyFunc, indexers()),
	}
	hpa := &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       asked.Spec,
	}
	hpa.Spec.ScaleTargetRef = autoscalingv2.CrossVersionObjectReference{APIVersion: "fairlead.dev/v1alpha1", Kind: "App", Name: name}
	defaults.SetDefaults_HorizontalPodAutoscaler(hpa) // the API server's part
	if err := w.hpaStore.Add(hpa); err != nil {
		panic(err)
	}
	return w
}

func (w *world) hpa() *autoscalingv2.HorizontalPodAutoscaler {
	found, err := autoscalinglisters.NewHorizontalPodAutoscalerLister(w.hpaStore).HorizontalPodAutoscalers(namespace).Get(name)
	if err != nil {
		panic(err)
	}
	return found
}

func (w *world) added(hpa *autoscalingv2.HorizontalPodAutoscaler) {
	w.handlers.OnAdd(hpa, false)
}

func (w *world) lay(step *Step) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.step = step
	if step.Replicas != nil {
		w.replicas = *step.Replicas
	}
	pods := make([]any, 0, len(step.Pods))
	for _, pod := range step.Pods {
		pod.Namespace = namespace
		pod.Labels = map[string]string{"app": name}
		pods = append(pods, pod)
	}
	if err := w.podStore.Replace(pods, ""); err != nil {
		panic(err)
	}
}

func (w *world) after() After {
	w.mu.Lock()
	defer w.mu.Unlock()
	return After{Replicas: w.replicas, Status: w.hpa().Status}
}

func (w *world) reading(key string) (Reading, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	found, ok := w.step.Readings[key]
	if !ok {
		return found, fmt.Errorf("the case has no reading %s", key)
	}
	if found.Error != "" {
		return found, errors.New(found.Error)
	}
	return found, nil
}

// ---------------------------------------------------------------- metrics (metrics.MetricsClient)

func (w *world) samples(key string) (metrics.PodMetricsInfo, time.Time, error) {
	found, err := w.reading(key)
	if err != nil {
		return nil, time.Time{}, err
	}
	if len(found.Pods) == 0 {
		return nil, time.Time{}, errors.New("no metrics returned") // as the clients of the metrics APIs say it
	}
	made := metrics.PodMetricsInfo{} // the calculator takes it apart
	for pod, sample := range found.Pods {
		made[pod] = metrics.PodMetric{
			Timestamp: sample.At.Time,
			Window:    time.Duration(sample.WindowSeconds) * time.Second,
			Value:     sample.Value,
		}
	}
	return made, time.Now(), nil
}

func (w *world) GetResourceMetric(_ context.Context, resource corev1.ResourceName, _ string, _ labels.Selector, container string) (metrics.PodMetricsInfo, time.Time, error) {
	return w.samples("resource/" + string(resource) + "/" + container)
}

func (w *world) GetRawMetric(metric string, _ string, _ labels.Selector, _ labels.Selector) (metrics.PodMetricsInfo, time.Time, error) {
	return w.samples("pods/" + metric)
}

func (w *world) GetObjectMetric(metric string, _ string, _ *autoscalingv2.CrossVersionObjectReference, _ labels.Selector) (int64, time.Time, error) {
	found, err := w.reading("object/" + metric)
	if err != nil {
		return 0, time.Time{}, err
	}
	if len(found.Values) != 1 {
		return 0, time.Time{}, errors.New("no metrics returned")
	}
	return found.Values[0], time.Now(), nil
}

func (w *world) GetExternalMetric(metric string, _ string, _ labels.Selector) ([]int64, time.Time, error) {
	found, err := w.reading("external/" + metric)
	if err != nil {
		return nil, time.Time{}, err
	}
	if len(found.Values) == 0 {
		return nil, time.Time{}, errors.New("no metrics returned")
	}
	return append([]int64(nil), found.Values...), time.Now(), nil
}

// ---------------------------------------------------------------- the scale subresource (scale.ScalesGetter)

func (w *world) Scales(string) scaleclient.ScaleInterface { return w }

func (w *world) Get(context.Context, schema.GroupResource, string, metav1.GetOptions) (*autoscalingv1.Scale, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	active := w.replicas
	if w.step.StatusReplicas != nil {
		active = *w.step.StatusReplicas
	}
	return &autoscalingv1.Scale{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       autoscalingv1.ScaleSpec{Replicas: w.replicas},
		Status:     autoscalingv1.ScaleStatus{Replicas: active, Selector: selector},
	}, nil
}

func (w *world) Update(_ context.Context, _ schema.GroupResource, scale *autoscalingv1.Scale, _ metav1.UpdateOptions) (*autoscalingv1.Scale, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.replicas = scale.Spec.Replicas
	return scale, nil
}

func (w *world) Patch(context.Context, schema.GroupVersionResource, string, types.PatchType, []byte, metav1.PatchOptions) (*autoscalingv1.Scale, error) {
	return nil, errors.New("the controller patches no scale")
}

// ---------------------------------------------------------------- events, the mapper, the HPA's status

func (w *world) Events(string) typedcore.EventInterface { return events{} }

// events takes every event and keeps none. What is embedded is never called.
type events struct{ typedcore.EventInterface }

func (events) CreateWithEventNamespace(event *corev1.Event) (*corev1.Event, error) { return event, nil }

func (events) UpdateWithEventNamespace(event *corev1.Event) (*corev1.Event, error) { return event, nil }

func (events) PatchWithEventNamespace(event *corev1.Event, _ []byte) (*corev1.Event, error) {
	return event, nil
}

type mapper struct{ apimeta.RESTMapper }

func (mapper) RESTMappings(kind schema.GroupKind, _ ...string) ([]*apimeta.RESTMapping, error) {
	return []*apimeta.RESTMapping{{Resource: schema.GroupVersionResource{Group: kind.Group, Version: "v1alpha1", Resource: "apps"}}}, nil
}

type hpas struct {
	typedautoscaling.HorizontalPodAutoscalerInterface
	w *world
}

func (h hpas) HorizontalPodAutoscalers(string) typedautoscaling.HorizontalPodAutoscalerInterface {
	return h
}

// UpdateStatus reaches the lister at once. The real one comes back through a watch, and asks for a sync that is already
// waiting for its turn.
func (h hpas) UpdateStatus(_ context.Context, hpa *autoscalingv2.HorizontalPodAutoscaler, _ metav1.UpdateOptions) (*autoscalingv2.HorizontalPodAutoscaler, error) {
	return hpa, h.w.hpaStore.Update(hpa)
}

// ---------------------------------------------------------------- informers that are synced and never run

type informer struct {
	cache.SharedIndexInformer
	handle func(cache.ResourceEventHandler)
}

func (informer) HasSynced() bool { return true }

func (i informer) AddEventHandlerWithResyncPeriod(handler cache.ResourceEventHandler, _ time.Duration) (cache.ResourceEventHandlerRegistration, error) {
	i.handle(handler)
	return nil, nil
}

type hpaInformer struct{ w *world }

func (h hpaInformer) Informer() cache.SharedIndexInformer {
	return informer{handle: func(handler cache.ResourceEventHandler) { h.w.handlers = handler }}
}

func (h hpaInformer) Lister() autoscalinglisters.HorizontalPodAutoscalerLister {
	return autoscalinglisters.NewHorizontalPodAutoscalerLister(h.w.hpaStore)
}

type podInformer struct{ w *world }

func (p podInformer) Informer() cache.SharedIndexInformer {
	return informer{handle: func(cache.ResourceEventHandler) {}}
}

func (p podInformer) Lister() corelisters.PodLister { return corelisters.NewPodLister(p.w.podStore) }
