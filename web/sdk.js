/**
 * The Jackfield browser SDK: signaling and calls, with no dependency and no build step.
 *
 *     import { connect } from "/sdk.js";
 *
 *     const client = await connect();                       // the server this file came from
 *     const room = await client.join("demo", { name: "ann" });
 *     room.on("peer", (peer) => {
 *       const video = document.createElement("video");
 *       video.autoplay = true;
 *       video.srcObject = peer.stream;
 *       document.body.append(video);
 *       peer.on("path", () => console.log(peer.name, "is connected", peer.path)); // "direct", "relay-udp", ...
 *       peer.on("state", (state) => state === "closed" && video.remove());
 *     });
 *     room.on("message", ({ name, text }) => console.log(name, text));
 *     room.setMedia(await navigator.mediaDevices.getUserMedia({ audio: true, video: true }));
 *     room.send("hello");
 *
 * Signaling goes over a WebSocket, or by long-polling where none gets through; it comes back by itself, and calls outlive
 * its absence. Each call negotiates perfectly, restarts ICE when its path is lost, looks for a better path while it is relayed,
 * and gets fresh relay credentials before the old ones expire. What does not work is said: `connect` and `join` reject after 20
 * seconds with the reason.
 */
export { Client, connect } from "./assets/sdk-client.js";
export { Room } from "./assets/sdk-room.js";
export { Peer } from "./assets/sdk-peer.js";
export { FILES_PROTOCOL, FileReceiver, sendFiles } from "./assets/sdk-files.js";
