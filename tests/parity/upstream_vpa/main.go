// Upstream's VerticalPodAutoscaler recommender, unmodified, fed by JSON.
//
// One life of a container a line comes in: what its pods have used, and when they ran out of memory. One line goes out: what upstream
// recommends after it, with its own defaults but for the least of a pod, which is none here.
package main

import (
	"bufio"
	"encoding/json"
	"os"
	"time"

	"k8s.io/autoscaler/vertical-pod-autoscaler/pkg/recommender/config"
	"k8s.io/autoscaler/vertical-pod-autoscaler/pkg/recommender/logic"
	"k8s.io/autoscaler/vertical-pod-autoscaler/pkg/recommender/model"
)

// Event is one thing that is seen of a pod at a time: its cpu in thousandths of a core, its memory in bytes, or that it ran out of
// memory, of which it had so many bytes requested.
type Event struct {
	Pod    string `json:"pod"`
	At     int64  `json:"at"`
	CPU    *int64 `json:"cpu"`
	Memory *int64 `json:"memory"`
	OOM    *int64 `json:"oom"`
}

// Told is what a container should request, in thousandths of a core and bytes.
type Told struct {
	Target, Lower, Upper map[model.ResourceName]model.ResourceAmount
}

func main() {
	defaults := config.DefaultRecommenderConfig()
	recommender := logic.CreatePodResourceRecommender(logic.RecommendationConfig{
		SafetyMarginFraction:       defaults.SafetyMarginFraction,
		TargetCPUPercentile:        defaults.TargetCPUPercentile,
		LowerBoundCPUPercentile:    defaults.LowerBoundCPUPercentile,
		UpperBoundCPUPercentile:    defaults.UpperBoundCPUPercentile,
		ConfidenceIntervalCPU:      defaults.ConfidenceIntervalCPU,
		TargetMemoryPercentile:     defaults.TargetMemoryPercentile,
		LowerBoundMemoryPercentile: defaults.LowerBoundMemoryPercentile,
		UpperBoundMemoryPercentile: defaults.UpperBoundMemoryPercentile,
		ConfidenceIntervalMemory:   defaults.ConfidenceIntervalMemory,
	})
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 64<<20)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var life []Event
		if err := json.Unmarshal(lines.Bytes(), &life); err != nil {
			panic(err)
		}
		if err := out.Encode(lived(recommender, life)); err != nil {
			panic(err)
		}
	}
}

func lived(recommender logic.PodResourceRecommender, life []Event) Told {
	whole := model.NewAggregateContainerState()
	containers := map[string]*model.ContainerState{}
	for _, event := range life {
		if containers[event.Pod] == nil {
			containers[event.Pod] = model.NewContainerState(model.Resources{}, whole)
		}
		container, at := containers[event.Pod], time.Unix(event.At, 0)
		if event.CPU != nil {
			container.AddSample(&model.ContainerUsageSample{MeasureStart: at, Usage: model.ResourceAmount(*event.CPU), Resource: model.ResourceCPU})
		}
		if event.Memory != nil {
			container.AddSample(&model.ContainerUsageSample{MeasureStart: at, Usage: model.ResourceAmount(*event.Memory), Resource: model.ResourceMemory})
		}
		if event.OOM != nil {
			_ = container.RecordOOM(at, model.ResourceAmount(*event.OOM)) // it says so where it is too old to count
		}
	}
	told := recommender.GetRecommendedPodResources(model.ContainerNameToAggregateStateMap{"web": whole})["web"]
	return Told{told.Target, told.LowerBound, told.UpperBound}
}
