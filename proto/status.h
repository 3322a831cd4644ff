// What leatd answers to `leat status`: the contract with people's programs too, so keys are never renamed. leatd(8) lists
// them. A pipeline whose file cannot be used ("refused") has its name, file, state and message; its numbers are 0.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "proto/base/fields.h"

namespace leat::proto {

struct WorkerStatus {
  std::string role;
  std::uint64_t index = 0;
  std::uint64_t instance = 0;
  std::int64_t pid = 0;
  std::string kind = "own";        // own, joined
  std::string state = "starting";  // starting, busy, blocked, idle, leaving, gone, stopped (SIGSTOP)
  double state_seconds = 0;        // since the state last changed
  std::string activity;            // in words: "read() of /mnt/nas/a.jsonl"
  double busy = 0;                 // shares of the last second, 0 to 1
  double blocked = 0;
  double idle = 0;
  std::uint64_t records = 0;
  std::uint64_t memory_bytes = 0;
  template <class Archive, class Self>
  static void fields(Archive& archive, Self& self) {
    archive("role", self.role, "index", self.index, "instance", self.instance, "pid", self.pid);
    archive("kind", self.kind, "state", self.state, "state_seconds", self.state_seconds);
    archive("activity", self.activity, "busy", self.busy, "blocked", self.blocked, "idle", self.idle);
    archive("records", self.records, "memory_bytes", self.memory_bytes);
  }
};

struct PoolStatus {
  int own = 0;
  int joined = 0;
  int wanted = 0;  // own ones
  int min = 0;
  int max = 0;
  bool automatic = false;
  template <class Archive, class Self>
  static void fields(Archive& archive, Self& self) {
    archive("own", self.own, "joined", self.joined, "wanted", self.wanted, "min", self.min, "max", self.max);
    archive("auto", self.automatic);
  }
};

struct EventStatus {
  std::string time;  // "2026-11-24T09:00:00Z"
  std::string level;
  std::string event;
  std::string text;
  template <class Archive, class Self>
  static void fields(Archive& archive, Self& self) {
    archive("time", self.time, "level", self.level, "event", self.event, "text", self.text);
  }
};

struct PipelineStatus {
  struct Records {
    std::uint64_t in = 0, kept = 0, dropped = 0, dead = 0;
    template <class Archive, class Self>
    static void fields(Archive& archive, Self& self) {
      archive("in", self.in, "kept", self.kept, "dropped", self.dropped, "dead", self.dead);
    }
  };
  struct Rate {  // a second
    double records = 0, bytes = 0;
    template <class Archive, class Self>
    static void fields(Archive& archive, Self& self) {
      archive("records", self.records, "bytes", self.bytes);
    }
  };
  struct Sources {
    std::uint64_t total = 0, done = 0, failed = 0;
    template <class Archive, class Self>
    static void fields(Archive& archive, Self& self) {
      archive("total", self.total, "done", self.done, "failed", self.failed);
    }
  };
  std::string name, file, state;
  std::string message;  // what is wrong, or what it waits for; empty: all is well
  double state_seconds = 0;
  Records records;
  std::uint64_t bytes_in = 0;
  Rate rate;
  Sources sources;
  std::uint64_t epoch = 0, window_batches = 0, memory_bytes = 0;
  std::string bottleneck;  // the stage that holds the others up; empty: none does
  PoolStatus processors;
  std::vector<WorkerStatus> workers;
  std::vector<EventStatus> events;  // the latest is the last
  template <class Archive, class Self>
  static void fields(Archive& archive, Self& self) {
    archive("name", self.name, "file", self.file, "state", self.state, "message", self.message);
    archive("state_seconds", self.state_seconds, "records", self.records, "bytes_in", self.bytes_in);
    archive("rate", self.rate, "sources", self.sources, "epoch", self.epoch);
    archive("window_batches", self.window_batches, "memory_bytes", self.memory_bytes);
    archive("bottleneck", self.bottleneck, "processors", self.processors);
    archive("workers", self.workers, "events", self.events);
  }
};

struct Status {
  std::string version;
  std::int64_t pid = 0;
  std::string since;
  std::vector<PipelineStatus> pipelines;
  template <class Archive, class Self>
  static void fields(Archive& archive, Self& self) {
    archive("version", self.version, "pid", self.pid, "since", self.since, "pipelines", self.pipelines);
  }
};

}  // namespace leat::proto
