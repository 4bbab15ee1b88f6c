"""BlazePose: MediaPipe's small body and hand nets, run bare on a CPU."""
