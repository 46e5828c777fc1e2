//! WebSocket connections on tokio and hyper, driving the cores of `jackfield-websocket`.
