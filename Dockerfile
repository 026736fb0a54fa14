# Gantry in one small image: a static binary and certificates.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags=-s -o /gantry ./cmd/gantry

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /gantry /gantry
EXPOSE 8083
ENTRYPOINT ["/gantry"]
CMD ["server"]
