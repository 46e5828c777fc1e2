/** Shows how loud the microphone hears, while `wanted` says so. */
export function meter(media, bar, wanted) {
  if (!media.audio || typeof AudioContext === "undefined") return;
  const context = new AudioContext();
  const analyser = new AnalyserNode(context, { fftSize: 512 });
  context.createMediaStreamSource(new MediaStream([media.audio])).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const tick = () => {
    if (!wanted()) return context.close();
    analyser.getFloatTimeDomainData(samples);
    const loudness = Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
    bar.style.setProperty("--level", media.micOn ? Math.min(1, loudness * 5).toFixed(2) : 0);
    setTimeout(tick, 90);
  };
  tick();
}
